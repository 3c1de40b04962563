from pathlib import Path

import zarr

from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.default_weighting import suited

USUAL = TrainOptions(label="x")


def test_what_suits_the_data(store_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    assert suited(store_path, USUAL) == (USUAL, "")  # one of three episodes failed
    best, why = suited(store_path, TrainOptions(label="x", keep_best=0.5))
    assert (best.algo, best.keep_best) == ("bc", 0.5) and "cloned" in why
    only, why = suited(store_path, TrainOptions(label="x", only_successes=True))
    assert only.algo == "bc" and why.startswith("none of 2 episodes failed")


def test_ends_at_goals_of_their_own_are_not_compared(store_path: Path) -> None:
    for change in ({"goal": ("last",)}, {"stages": ("0:1", "successes")}):
        relabel(store_path, RelabelOptions("pixels", name="x", **change), overwrite=True)
        options, why = suited(store_path, USUAL)
        assert options.weighs_by == "return" and "--weight-by return" in why


def test_where_nobody_failed_all_count_alike(store_path: Path) -> None:
    success = zarr.open_group(store_path)["meta/success"]
    assert isinstance(success, zarr.Array)
    success[:] = True
    relabel(store_path, RelabelOptions("pixels", name="x"))
    options, why = suited(store_path, USUAL)
    assert options.algo == "bc" and why.startswith("none of 3 episodes failed")
