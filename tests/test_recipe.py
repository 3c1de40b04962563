import dataclasses
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.recipe import Recipe, TrainOptions, dump, load_recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_hold_differences_only(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    import tomllib

    defaults = Recipe()
    for stage, values in tomllib.loads(path.read_text()).items():
        for key, value in values.items():
            if (stage, key) == ("record", "task") or (stage, key) == ("compare", "seeds"):
                continue  # said although it is the default: it is what the recipe is about
            default = getattr(getattr(defaults, stage), key)
            assert value != default, f"{stage}.{key} = {value!r} is the default"


def test_defaults_are_the_papers() -> None:
    train = TrainOptions()
    assert (train.tau, train.hidden, train.learning_rate) == (0.1, (256, 256), 1e-3)
    assert (train.batch_size, train.steps, train.algo) == (32, 20_000, "rwr")


def test_paths_follow_the_name(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "[train]\ntau = 1\n"))
    assert (recipe.store, recipe.out) == ("datasets/mine.zarr", "runs/mine")
    assert recipe.train == dataclasses.replace(TrainOptions(), tau=1, label="lite0")


def test_dump_reads_back(tmp_path: Path) -> None:
    recipe = load_recipe(
        written(tmp_path, 'out = "a \\"b\\" \\\\c"\n[train]\ntau = "auto"\nhidden = [8, 8]\n')
    )
    assert load_recipe(written(tmp_path, dump(recipe))) == recipe


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[train]\ntao = 1\n", ["mine.toml [train]", "'tao'", "Did you mean 'tau'"]),
        ("[trian]\ntau = 1\n", ["'trian'", "Did you mean 'train'"]),
        ('[train]\ntau = "warm"\n', ["tau = 'warm'", "a number or 'auto'"]),
        ("[train]\nsteps = 1.5\n", ["steps = 1.5", "a whole number"]),
        ("[train]\nsteps = true\n", ["steps = True", "a whole number"]),
        ('[train]\nweight_by = "retrun"\n', ["'retrun'", "'step' or 'n-step' or 'return' or"]),
        ("train = 3\n", ["[train]"]),
        ("[train\n", ["cannot be read as TOML"]),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(VipOfflineError) as caught:
        load_recipe(written(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)


def test_a_missing_recipe_lists_those_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "")
    with pytest.raises(VipOfflineError, match=r"no such recipe.*mine\.toml"):
        load_recipe(tmp_path / "yours.toml")
