"""A hand that visits places, driven in several ways; only the way of saying it differs."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.training.data.action_kind import guess_action_kind

Rows = NDArray[np.float32]
AROUND = np.array([0.5, -0.3, 0.2])  # m, where the hand works: not about 0


def visits(seed: int, length: int = 80) -> NDArray[np.float64]:
    """(T, 3) of a hand that goes to three random places after another, and trembles."""
    generator = np.random.default_rng(seed)
    place, goals = AROUND.copy(), AROUND + generator.uniform(-0.2, 0.2, (3, 3))
    rows = []
    for step in range(length):
        rows.append(place + generator.normal(0, 1e-4, 3))
        place = place + 0.1 * (goals[3 * step // length] - place)
    return np.array(rows)


def demonstrations(count: int = 4) -> tuple[list[NDArray[np.float64]], list[Rows]]:
    """Positions, and the (T, 1) gripper, which is the same in every way of driving."""
    grips = [np.repeat(np.arange(2, dtype=np.float32), 40)[:, None] for _ in range(count)]
    return [visits(seed) for seed in range(count)], grips


def beside(left: Sequence[NDArray[np.float64]], right: Sequence[Rows]) -> list[Rows]:
    return [np.hstack(pair).astype(np.float32) for pair in zip(left, right, strict=True)]


def ahead(rows: NDArray[np.float64], ticks: int) -> NDArray[np.float64]:
    return np.concatenate([rows[ticks:], np.repeat(rows[-1:], ticks, axis=0)])


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_where_the_hand_is_to_be(ticks: int) -> None:
    hands, grips = demonstrations()
    actions = beside([ahead(hand, ticks) for hand in hands], grips)
    assert guess_action_kind(actions, beside(hands, grips)) == "position"


@pytest.mark.parametrize("scale", [1.0, 25.0])
def test_how_far_or_how_fast_the_hand_is_to_go(scale: float) -> None:
    hands, grips = demonstrations()
    actions = beside([(ahead(hand, 1) - hand) * scale for hand in hands], grips)
    assert guess_action_kind(actions, beside(hands, grips)) == "velocity"


def test_a_state_that_holds_velocities_leaves_both_possible() -> None:
    """An action that equals a column of the state is no position if the column is a velocity."""
    hands, grips = demonstrations()
    speeds = [(ahead(each, 1) - each) * 25 for each in hands]
    states = [np.hstack([hand, speed]) for hand, speed in zip(hands, speeds, strict=True)]
    assert guess_action_kind(beside(speeds, grips), beside(states, grips)) == ""


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_of_no_kind(seed: int) -> None:
    generator = np.random.default_rng(seed)
    hands, grips = demonstrations()
    actions = [generator.uniform(-1, 1, hand.shape) for hand in hands]
    assert guess_action_kind(beside(actions, grips), beside(hands, grips)) == ""


def test_a_steady_motion_is_not_taken_for_what_a_constant_action_does() -> None:
    """About 0, a constant goes with any steady change; about its mean, with none."""
    steady = [np.linspace(0.5, 0.9, 50)[:, None].astype(np.float32)] * 3
    generator = np.random.default_rng(0)
    action = [generator.normal(0.6, 0.01, (50, 1)).astype(np.float32) for _ in steady]
    assert guess_action_kind(action, steady) == ""


@pytest.mark.parametrize("length", [0, 1, 4])
def test_too_little_to_tell(length: int) -> None:
    rows = [np.zeros((length, 2), np.float32)]
    assert guess_action_kind(rows, rows) == ""
    assert guess_action_kind([], []) == ""


def test_a_robot_that_tells_nothing_of_itself() -> None:
    hands, grips = demonstrations()
    assert guess_action_kind(beside(hands, grips), [np.zeros((80, 0), np.float32)] * 4) == ""
