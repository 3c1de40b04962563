"""Which actions take two values, and how they are told from in-between output."""

import numpy as np
import pytest

from vip_offline.policies.gripper import (
    Gripper,
    GripperState,
    find_grippers,
    gripper_note,
    snap_grippers,
)

ROWS = 60
GRIPPER = Gripper(1, -1.0, 1.0, -0.2, 0.2)


def found(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[Gripper, ...]:
    rows = np.stack([np.linspace(-1, 1, ROWS), values], axis=1).astype(np.float32)
    marks = np.zeros(rows.shape, bool)
    marks[:, 1] = rows[:, 1] == 1000
    return find_grippers([rows[:20], rows[20:]], [marks[:20], marks[20:]])


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 0.08), (-0.6, 255)])
def test_two_values_of_any_unit(low: float, high: float) -> None:
    values = np.where(np.arange(ROWS) % 20 < 7, high, low).astype(float)
    values[5] = 1000.0  # an outlier
    distance = high - low
    values[values != 1000] += np.random.default_rng(0).uniform(0, 0.005 * distance, ROWS - 1)
    (gripper,) = found(values)
    assert gripper.dimension == 1
    levels = [gripper.low, gripper.low_below, gripper.high_above, gripper.high]
    expected = low + np.array([0, 0.4, 0.6, 1]) * distance
    np.testing.assert_allclose(levels, expected, atol=0.01 * distance)
    assert max(len(line) for line in gripper_note(gripper).splitlines()) < 80


@pytest.mark.parametrize(
    "values",
    [
        np.full(ROWS, 1.0),
        np.where(np.arange(ROWS) == 30, 1.0, -1.0),  # once: a glitch
        np.arange(ROWS) % 3 - 1.0,
        np.linspace(0, 1, ROWS),
        np.where(np.arange(ROWS) % 2, 1.0, -1.0) * np.linspace(0.9, 1, ROWS),
    ],
    ids=["one", "once", "three", "many", "two clouds"],
)
def test_what_does_not_take_two_values(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    assert found(values) == ()


def test_it_changes_only_when_the_output_is_clear() -> None:
    state = GripperState([GRIPPER])

    def told(raw: float) -> float:
        action = state(np.array([0.3, raw], np.float32))
        assert action[0] == np.float32(0.3)
        return float(action[1])

    raws = (0.1, -0.1, -0.3, 0.1, 0.19, 0.21, -0.19, -0.5)
    assert [told(raw) for raw in raws] == [1, 1, -1, -1, -1, 1, 1, -1]
    state.reset()
    assert told(0.1) == 1


def test_rows_without_a_history_and_policies_without_a_gripper() -> None:
    actions = np.array([[0.3, 0.1], [0.4, -0.1], [0.5, 0.9]], np.float32)
    np.testing.assert_array_equal(snap_grippers(actions, [GRIPPER])[:, 1], [1, -1, 1])
    np.testing.assert_array_equal(snap_grippers(actions, []), actions)
