import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from vip_offline.dataset.store import open_store
from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.recipes.run_pretrain_recipe import (
    check_pretrain_recipe,
    checkpoint_at,
    run_pretrain_recipe,
)
from vip_offline.options import (
    Computing,
    PretrainOptions,
    PretrainRecipe,
    RecordOptions,
    TrialOptions,
    nuisance_text,
)
from vip_offline.utils.console import Console, bar

SHOW = partial(bar, Console(quiet=True))
OPTIONS = PretrainOptions(
    backbone="vip-mini-d2",
    batch_size=4,
    negatives=0,
    steps=4,
    save_every=2,
    validate_every=4,
    hold_out=0.2,
)


def recipe(tmp_path: Path, *videos: Path) -> PretrainRecipe:
    return PretrainRecipe(
        pretrain=OPTIONS,
        name="mine",
        out=str(tmp_path / "out"),
        folder=str(tmp_path / "data"),
        videos=tuple(map(str, videos)),
        objectives=("vip", "tcn"),
        paths_at=(2, 4),
    )


@pytest.mark.slow
def test_each_objective_is_trained_and_drawn(
    make_store: Callable[..., Path], tmp_path: Path
) -> None:
    store = make_store(lengths=(5, 6, 7, 8, 5, 6), successes=(True,) * 6)
    said: list[str] = []
    numbers = run_pretrain_recipe(recipe(tmp_path, store), SHOW, said.append)
    out = tmp_path / "out"
    assert list(numbers["trained"]) == ["vip-0", "tcn-0"]
    assert [(number["objective"], number["steps"]) for number in numbers["paths"]] == [
        ("vip", 2),
        ("vip", 4),
        ("tcn", 2),
        ("tcn", 4),
    ]
    assert json.loads((out / "encoders.json").read_text()) == numbers
    assert (out / "figure-2.png").stat().st_size > 10_000
    # once for both
    assert len([path for path in (out / "packed").iterdir() if path.is_dir()]) == 1
    # again: nothing is left to do
    again = run_pretrain_recipe(recipe(tmp_path, store), SHOW, said.append)
    assert said[-1] == "is done: 4 steps"
    assert again["paths"] == numbers["paths"]


@pytest.mark.slow
def test_a_checkpoint_loads_like_the_model(make_store: Callable[..., Path], tmp_path: Path) -> None:
    store = make_store(lengths=(5, 6, 7, 8, 5, 6), successes=(True,) * 6)
    run_pretrain_recipe(recipe(tmp_path, store), SHOW, lambda line: None)
    folder = tmp_path / "out" / "vip-0"
    torch = Computing("torch")
    frames = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    one = load_encoder("vip-mini-d2", checkpoint_at(folder, 4), computing=torch)
    other = load_encoder("vip-mini-d2", folder / "model.pt", computing=torch)
    earlier = load_encoder("vip-mini-d2", checkpoint_at(folder, 2), computing=torch)
    np.testing.assert_array_equal(one(frames), other(frames))
    assert (one(frames) != earlier(frames)).any()
    with pytest.raises(VipOfflineError, match=r"no checkpoint of step 3; there are \[2, 4\]"):
        checkpoint_at(folder, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrain": dataclasses.replace(OPTIONS, backbone="vip-mini")}, "Take vip-mini-d2"),
        ({"paths_at": (3,)}, r"paths_at \[3\]"),
        ({"paths_at": (6,)}, r"paths_at \[6\]"),
        ({"pretrain": dataclasses.replace(OPTIONS, keep=1)}, "pretrain.keep is 1"),
        ({"objectives": ("vop",)}, "unknown 'vop'. Did you mean 'vip'"),
        ({"tasks": ("drawer-colse",)}, "drawer-colse"),
        ({"trial": TrialOptions(encoders=("vip-minni",))}, "vip-minni"),
        ({"trial": TrialOptions(encoders=("r3m-50",))}, "needs --weights"),
        ({"tasks": ("soccer",), "held_out_tasks": ("soccer",)}, "soccer are in `tasks`, too"),
        ({"clean_episodes": 2}, r"clean_episodes 2: \[record\] has no nuisance"),
        ({"leave_out": ("agument",)}, "'agument' is no option of .*Did you mean 'augment'"),
        ({"leave_out": ("nuisance",)}, "leave_out: without clean_episodes"),
        ({"trial": TrialOptions(nuisance_levels=(0, 1))}, r"nuisance_levels \[0, 1\]: name the"),
    ],
)
def test_what_would_fail_late_is_refused_at_once(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    wrong = dataclasses.replace(recipe(tmp_path), **changes)  # type: ignore[arg-type]
    with pytest.raises(VipOfflineError, match=message):
        check_pretrain_recipe(wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.sim
def test_tasks_are_recorded_and_encoders_tried_on_others(tmp_path: Path) -> None:
    wanted = PretrainRecipe(
        pretrain=dataclasses.replace(OPTIONS, backbone="vip-mini", steps=2),
        out=str(tmp_path / "out"),
        folder=str(tmp_path / "data"),
        tasks=("button-press", "window-close"),
        objectives=("vip",),
        held_out_tasks=("window-open",),
        clean_episodes=2,
        leave_out=("augment", "nuisance"),
        record=RecordOptions(episodes=3, failures=0, image_size=64, nuisance=("light",)),
        trial=TrialOptions(
            tasks=("drawer-close",),
            episodes=3,
            failures=1,
            nuisance=("light",),
            nuisance_levels=(0, 2),
            stride=4,
            encoders=("pixels",),
        ),
    )
    numbers = run_pretrain_recipe(wanted, SHOW, lambda line: None)
    names = ["vip-0", "vip-0-without-augment", "vip-0-without-nuisance"]
    # five of each task, of which the last run sees the two clean ones; a task is held out
    assert [numbers["trained"][name]["clips"] for name in names] == [10, 10, 4]
    assert [numbers["trained"][name]["held_out"] for name in names] == [5, 5, 5]
    assert list(numbers["trial"]) == [*names, "pixels"]
    for number in numbers["trial"].values():
        assert [row["level"] for row in number.values()] == [0, 2]
        for row in number.values():
            assert row["successes"] == 2
            assert -1 <= row["order"] <= 1
            assert 0 <= row["auc"]["value"] <= 1
            assert 0 <= row["weight"] <= 1
    stores = {path.stem: open_store(path) for path in (tmp_path / "data").glob("*/*.zarr")}
    shown = {name: nuisance_text(store.attributes["record"]) for name, store in stores.items()}
    assert shown["button-press-clean"] == shown["drawer-close"] == ""
    assert shown["button-press"] == "nuisance light at level 1"
    assert shown["drawer-close-2"] == "nuisance light at level 2"
    placements = {name: set(stores[name].meta("placement")) for name in stores}
    assert placements["button-press"].isdisjoint(placements["button-press-clean"])
