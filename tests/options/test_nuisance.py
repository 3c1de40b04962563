from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vip_offline.config import load_recipe, naming_keys
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    HasNuisance,
    Recipe,
    RecordOptions,
    RolloutOptions,
    check_nuisance,
    nuisance_text,
)


@pytest.mark.parametrize("options", [RecordOptions(), RolloutOptions()])
def test_kinds_and_levels_that_are_there(options: RecordOptions | RolloutOptions) -> None:
    check_nuisance(options)
    for level in (0, 1, 2):
        check_nuisance(replace(options, nuisance=("tint", "light"), nuisance_level=level))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RecordOptions(nuisance=("light", "lihgt")), "--nuisance lihgt: is unknown. Did you mean"),
        (RolloutOptions(nuisance=("cameras",)), "is unknown. Did you mean 'camera'? Known: camera"),
        (RolloutOptions(nuisance_level=2), "--nuisance-level 2: no nuisance is named; name some"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: HasNuisance, message: str) -> None:
    with pytest.raises(VipOfflineError) as caught:
        check_nuisance(options)
    assert message in str(caught.value)


def test_a_recipe_names_them_by_stage(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[record]\nnuisance = ["light"]\n[rollout]\nnuisance = ["lamp"]\n')
    recipe = load_recipe(path)
    assert (recipe.record.nuisance, recipe.record.nuisance_level) == (("light",), 1)
    with pytest.raises(VipOfflineError) as caught, naming_keys(path, Recipe):
        check_nuisance(recipe.rollout)
    assert str(caught.value).startswith(f'{path}: rollout.nuisance = "lamp": is unknown.')


def test_in_words() -> None:
    settings = {"nuisance": ["light", "tint"], "nuisance_level": 2}
    assert nuisance_text(settings) == "nuisance light+tint at level 2"
    unknown: list[Any] = [{}, None, {"nuisance": []}, {"nuisance": 7}, "light"]
    for clean in unknown:
        assert nuisance_text(clean) == ""
