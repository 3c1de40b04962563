"""Actions of any unit become what a tanh can give, and come back."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vip_offline.dataset.validation.outliers import find_outliers
from vip_offline.options import NormaliseActions
from vip_offline.training.data.action_scale import (
    action_range,
    clipped,
    limits_of,
    outlier_note,
    scale_note,
    to_reach,
)

KINDS = ("normal", "uniform", "bimodal", "rare", "constant")
METHODS: tuple[NormaliseActions, ...] = ("quantile", "limits", "std")


def column(kind: str, rows: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(rows,) actions of order 1."""
    match kind:
        case "normal":
            return generator.normal(size=rows)
        case "uniform":
            return generator.uniform(-1, 1, rows)
        case "bimodal":
            return generator.choice([-1.0, 1.0], rows)
        case "rare":
            return (np.arange(rows) > rows - 9).astype(float)
    return np.ones(rows)


@settings(deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    unit=st.floats(-4, 4).map(lambda exponent: 10**exponent),
    offset=st.floats(-3, 3),
    spikes=st.lists(st.integers(0, 199), max_size=3),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 99),
)
def test_what_is_no_outlier_is_reached_with_margin(
    kinds: list[str], unit: float, offset: float, spikes: list[int], method: str, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    columns = [(column(kind, 200, generator) + offset) * unit for kind in kinds]
    rows = np.stack(columns, axis=1).astype(np.float32)
    rows[spikes, 0] = 1e4 * unit
    actions = [rows[:120], rows[120:]]
    outliers = find_outliers(actions)
    reach = action_range(actions, outliers, method)  # type: ignore[arg-type]
    assert reach is not None
    limits = limits_of(actions, outliers, method)  # type: ignore[arg-type]
    learnt = np.concatenate(clipped(actions, outliers, limits))
    ordinary = ~np.concatenate(outliers.marks)
    np.testing.assert_array_equal(learnt[ordinary], rows[ordinary])
    assert (np.abs(to_reach(learnt, reach)) < 0.92).all()
    # and back, as the policy does it, to a thousandth of what the dimension does
    low, high = reach
    back = low + (to_reach(learnt, reach) + 1) / 2 * (high - low)
    assert (np.abs(back - learnt) <= 1e-3 * (high - low)).all()


def reach_of(values: list[list[float]], method: NormaliseActions) -> NDArray[np.float32]:
    actions = [np.array(values, np.float32)]
    reach = action_range(actions, find_outliers(actions), method)
    assert reach is not None
    return reach


def test_the_range_is_the_demonstrated_one_and_a_margin() -> None:
    reach = reach_of([[-0.01, 5], [0.01, 25], [0, 20]], "quantile")
    np.testing.assert_allclose(reach, [[-0.011, 4], [0.011, 26]], rtol=1e-6)


def test_a_spike_widens_limits_alone() -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (200, 1)).round(2)
    rows[:2], rows[40] = [[-1], [1]], 1000
    ends = {method: reach_of(rows.tolist(), method)[:, 0] for method in METHODS}
    np.testing.assert_allclose(ends["quantile"], [-1.1, 1.1], rtol=1e-5)
    assert ends["limits"][1] > 1000
    kept = np.delete(rows, 40)
    wide = kept.mean() + np.array([-3, 3]) * 1.1 * kept.std()
    np.testing.assert_allclose(ends["std"], wide, rtol=1e-5)


def test_three_deviations_are_widened_to_what_was_demonstrated() -> None:
    rows = [[0.0]] * 95 + [[1.0]] * 6  # whose deviation is 0.24
    assert reach_of(rows, "std")[1, 0] == pytest.approx(1.08, abs=0.01)


def test_a_constant_is_met_in_the_middle_of_a_range_of_its_unit() -> None:
    reach = reach_of([[-1, 0, 0.002], [-1, 0, 0.004]], "quantile")
    np.testing.assert_allclose(reach.mean(axis=0), [-1, 0, 0.003], atol=1e-6)
    np.testing.assert_allclose(np.ptp(reach, axis=0) / 2, [1e-3, 1e-6, 0.0011], rtol=1e-3)
    np.testing.assert_allclose(reach_of([[0], [0]], "limits"), [[-1e-3], [1e-3]])


def test_none_leaves_actions_alone() -> None:
    actions = [np.array([[0.5], [-1.0]], np.float32)]
    assert action_range(actions, find_outliers(actions), "none") is None
    assert to_reach(actions[0], None) is actions[0]


def test_what_is_said_fits_a_terminal() -> None:
    rows = np.random.default_rng(0).uniform(-1, 1, (200, 14)).astype(np.float32)
    rows[[3, 50, 90, 130], 2] = [9e5, -8e5, 7e5, 6e5]
    outliers = find_outliers([rows])
    reach, limits = action_range([rows], outliers, "quantile"), limits_of([rows], outliers, "std")
    assert reach is not None
    notes = [scale_note(reach, "quantile"), outlier_note(outliers, [12], limits, kept=False)]
    assert max(len(line) for note in notes for line in note.splitlines()) < 80
    said = " ".join(notes[1].split())
    assert said.startswith("actions: 4 outliers, clipped to the range of the rest: episode 12, ")
    assert "action[3, 2] = 9e+05" in said and said.endswith("and 1 more")


def test_actions_of_another_unit_succeed_as_often() -> None:
    """As measured in closed loop; the file holds the commands that measure it again."""
    path = Path(__file__).parents[3] / "recipes/results/actions/small-actions.json"
    measured = json.loads(path.read_text(encoding="utf-8"))
    rows = measured["results"]
    successes = {(row["actions"], row["normalised"]): row["successes"] for row in rows}
    normalised = {actions for actions, of_today in successes if of_today}
    assert normalised == {"as recorded", "x 0.05", "x 0.01", "one spike of 1000"}
    assert {successes[actions, True] for actions in normalised} == {measured["rollouts"]}
    assert successes["as recorded", False] == measured["rollouts"]
    assert (successes["x 0.01", False], successes["one spike of 1000", False]) == (0, 1)
    assert all(row["guard_high"] <= 1 for row in rows if row["normalised"])
