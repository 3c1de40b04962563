import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from vip_offline.analysis.metrics import Noise, Separation
from vip_offline.analysis.paired_auc import AucDifference
from vip_offline.analysis.results import (
    Analysis,
    EpisodeView,
    Flag,
    HeavyTransition,
    Row,
    Weighting,
    summarise_analysis,
)

NAN = float("nan")


def view(index: int, success: bool) -> EpisodeView:
    return EpisodeView(
        index=index,
        name=f"demo_{index}",
        kind="expert" if success else "pulled",
        success=success,
        frames=3,
        thumbnails=np.zeros((2, 4, 4, 3), np.uint8),
        flags=(Flag("cut", "row 2 differs", 2), Flag("no-progress", "never nearer")),
    )


WEIGHTING = Weighting(
    weight_by="return",
    taus=np.array([0.1, 1.0]),
    effective_sample_size=np.array([0.25, NAN]),
    target_ess=0.3,
    tau=0.125,
    on_successes=0.75,
    of_successes=NAN,
    heaviest=(HeavyTransition(1, 0, 1, 2.5, np.zeros((2, 4, 4, 3), np.uint8)),),
)
LABELLING = Row(
    name="vip",
    control=False,
    made_of="lite0, camera corner",
    goal_from_others=True,
    distances=(np.array([3.0, 2.0, 1.0]), np.array([3.0, NAN, 1 / 3]), np.array([1.0, 1.0, 1.0])),
    own=(np.array([3.0, 2.0, 0.0]),) * 3,
    rewards=(np.array([1.0, 1.0]), np.array([NAN, NAN]), np.array([0.0, 0.0])),
    bumps=np.array([0.5, 0.0, NAN]),
    order=np.array([1.0, 0.5, NAN]),
    came_closer=Separation(0.75, 0.5, 0.9, 2, 1),
    came_closer_moved=None,
    agreement=NAN,
    noise=Noise(0.25, 12),
    signal={1: 0.5, 5: NAN},
    dense_fit=NAN,
    weightings=(WEIGHTING,),
    plane=(np.zeros((3, 2)),) * 3,
    explained=(0.5, NAN),
)
CONTROL = dataclasses.replace(
    LABELLING,
    name="pixels",
    control=True,
    came_closer=None,
    noise=Noise(NAN, 0),
    weightings=(),
    plane=None,
    explained=None,
)
ANALYSIS = Analysis(
    store="drawer.zarr",
    task="drawer-close",
    episodes=(view(0, True), view(1, True), view(2, False)),
    rows=(LABELLING, CONTROL),
    true_rewards=None,
    left_out=("no true reward",),
    verdict="It does.",
    reasons=("because",),
)


def numbers(content: Any) -> list[float]:
    """All numbers of what JSON gives, at any depth."""
    if isinstance(content, dict):
        return [number for value in content.values() for number in numbers(value)]
    if isinstance(content, list):
        return [number for value in content for number in numbers(value)]
    return [] if isinstance(content, bool | str) or content is None else [content]


def test_a_summary_is_json_and_nothing_else() -> None:
    summary = summarise_analysis(ANALYSIS)
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text) == summary
    assert numbers(summary)
    # as JSON writes it, not only as it can be converted
    assert all(type(number) in (int, float) for number in numbers(summary))


def test_numbers_are_kept_and_nan_is_null() -> None:
    row, control = summarise_analysis(ANALYSIS)["rows"]
    assert row["distances"] == [[3, 2, 1], [3, None, 0.333333], [1, 1, 1]]
    assert row["rewards"] == [[1, 1], [None, None], [0, 0]]
    assert row["came_closer"] == {
        "auc": 0.75, "low": 0.5, "high": 0.9, "successes": 2, "failures": 1
    }  # fmt: skip
    assert row["came_closer_moved"] is None
    assert row["goal_agreement"] is None
    assert row["dense_fit"] is None
    assert row["noise"] == {"step": 0.25, "pairs": 12}
    assert row["signal"] == {"1": 0.5, "5": None}
    assert row["explained"] == [0.5, None]
    (weighting,) = row["weightings"]
    assert weighting["taus"] == [0.1, 1]
    assert weighting["effective_sample_size"] == [0.25, None]
    assert (weighting["tau"], weighting["on_successes"], weighting["of_successes"]) == (
        0.125, 0.75, None
    )  # fmt: skip
    assert weighting["heaviest"] == [{"episode": 1, "step": 0, "ahead": 1, "weight": 2.5}]
    assert control["control"] is True
    assert control["noise"] == {"step": None, "pairs": 0}
    assert control["came_closer"] is None
    assert control["explained"] is None
    assert control["weightings"] == []


def test_differences_of_areas_are_kept() -> None:
    compared = AucDifference("vip", "pixels", 0.75, 0.5, 0.25, NAN, NAN, 2, 1)
    summary = summarise_analysis(dataclasses.replace(ANALYSIS, against_best=(compared,)))
    assert summary["against_best"] == [
        {"a": "vip", "b": "pixels", "auc_a": 0.75, "auc_b": 0.5, "difference": 0.25, "low": None,
         "high": None, "successes": 2, "failures": 1}
    ]  # fmt: skip


def test_pictures_and_planes_are_left_out() -> None:
    text = json.dumps(summarise_analysis(ANALYSIS))
    for key in ("thumbnails", "pictures", "plane"):
        assert key not in text


def test_episodes_say_why_they_are_suspicious() -> None:
    first, _, third = summarise_analysis(ANALYSIS)["episodes"]
    assert first == {
        "index": 0,
        "name": "demo_0",
        "kind": "expert",
        "success": True,
        "frames": 3,
        "flags": [
            {"kind": "cut", "value": "row 2 differs", "row": 2},
            {"kind": "no-progress", "value": "never nearer", "row": None},
        ],
    }
    assert third["success"] is False


def test_spreads_are_over_successes() -> None:
    bumps = summarise_analysis(ANALYSIS)["rows"][0]["bump_fraction"]
    assert bumps == {
        "mean": 0.25,
        "std": pytest.approx(0.5 / np.sqrt(2)),
        "episodes": 2,
        "per_episode": [0.5, 0, None],
    }


def test_spreads_are_over_all_where_nothing_succeeds_and_null_of_one() -> None:
    failures = tuple(view(index, False) for index in range(3))
    order = summarise_analysis(dataclasses.replace(ANALYSIS, episodes=failures))["rows"][0]
    assert order["order_correlation"]["episodes"] == 2
    assert order["order_correlation"]["mean"] == 0.75
    single = dataclasses.replace(ANALYSIS, episodes=(view(0, True), *failures[1:]))
    bumps = summarise_analysis(single)["rows"][0]["bump_fraction"]
    assert (bumps["mean"], bumps["std"], bumps["episodes"]) == (0.5, None, 1)
    none = dataclasses.replace(LABELLING, bumps=np.full(3, NAN))
    bumps = summarise_analysis(dataclasses.replace(ANALYSIS, rows=(none,)))["rows"][0][
        "bump_fraction"
    ]
    assert (bumps["mean"], bumps["std"], bumps["episodes"]) == (None, None, 0)


def test_rows_are_told_apart() -> None:
    assert ANALYSIS.labellings == (LABELLING,)
    assert ANALYSIS.controls == (CONTROL,)
    assert ANALYSIS.success.tolist() == [True, True, False]
    assert ANALYSIS.judged.tolist() == [True, True, False]
    failures = dataclasses.replace(ANALYSIS, episodes=(view(0, False),))
    assert failures.judged.tolist() == [True]
