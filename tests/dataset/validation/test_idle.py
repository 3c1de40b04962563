"""A robot that waits, moves and waits; what it says of itself trembles."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.validation.idle import Idle, check_idle, idle_of

Rows = NDArray[np.float64]
START, MOTION, END = 30, 60, 25
PLACES = np.array([[0.4, -0.2, 0.3, 1.0], [0.6, 0.1, 0.1, 1.0]])  # m, and an open gripper


def visit(noise: float, seed: int = 0, start: int = START, end: int = END) -> Rows:
    """(T, 4) from one place to another and back a little, at rest before and after."""
    share = np.sin(np.linspace(0, 0.75 * np.pi, MOTION))[:, None]
    share = np.concatenate([np.zeros((start, 1)), share, np.repeat(share[-1:], end, axis=0)])
    places = PLACES[0] + share * (PLACES[1] - PLACES[0])
    return np.asarray(places + np.random.default_rng(seed).normal(0, noise, places.shape))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])
def test_a_noisy_standstill_with_the_state_as_action(noise: float, seed: int) -> None:
    state = visit(noise, seed)
    idle = idle_of("episode 0", state, state + np.random.default_rng(9).normal(0, noise, (115, 4)))
    assert abs(idle.start - START) <= 3 and abs(idle.end - END) <= 3
    assert (idle.where, idle.rows) == ("episode 0", START + MOTION + END)


def test_a_standstill_with_actions_of_zero() -> None:
    state = visit(1e-4)
    action = np.zeros((len(state), 3))
    action[START : START + MOTION] = np.diff(visit(0.0), axis=0)[START : START + MOTION, :3]
    idle = idle_of("", state, action)
    assert abs(idle.start - START) <= 3 and abs(idle.end - END) <= 3


def test_who_does_something_is_not_idle() -> None:
    state = visit(1e-4)
    action = state.copy()
    action[: START // 2, 3] = 0  # a gripper that is told to close, and does not
    assert idle_of("", state, action).start == START // 2
    assert idle_of("", state, np.cumsum(action, axis=0)).start < 3


def test_who_moves_at_once_is_not_idle() -> None:
    state = visit(1e-4, start=0, end=0)
    idle = idle_of("", state, state)
    assert (idle.start, idle.end) == (0, 0)


def test_who_moves_slowly_all_the_time_is_not_idle() -> None:
    state = np.linspace(0, 0.05, 100)[:, None] + np.random.default_rng(0).normal(0, 1e-4, (100, 1))
    idle = idle_of("", state, np.full((100, 1), 0.0005))
    assert (idle.start, idle.end) == (0, 0)


def test_who_never_moves_is_idle_from_the_start() -> None:
    state = 0.5 + np.random.default_rng(0).normal(0, 1e-3, (50, 4))
    assert idle_of("", state, state) == Idle("", 50, 50, 0)


def test_the_last_action_may_be_missing() -> None:
    state = visit(0.0)
    action = state.copy()
    action[-1] = np.nan
    assert abs(idle_of("", state, action).end - END) <= 3
    action[5, 0] = np.nan  # which is found elsewhere
    assert idle_of("", state, action) == Idle("", 115, 0, 0)


@pytest.mark.parametrize("shape", [(7, 4), (0, 4), (40, 0)])
def test_too_little_to_tell(shape: tuple[int, int]) -> None:
    state = np.zeros(shape)
    assert idle_of("", state, np.zeros((shape[0], 2))) == Idle("", shape[0], 0, 0)


def test_one_line_per_kind_with_the_longest_first() -> None:
    idle = [
        Idle("episode 0", 100, 12, 0),
        Idle("episode 1", 100, 40, 20),
        Idle("episode 2", 9, 1, 1),
    ]
    findings = check_idle(idle, 25.0)
    assert [(finding.kind, finding.severity, finding.where) for finding in findings] == [
        ("idle-start", "note", "episode 1"),
        ("idle-end", "note", "episode 1"),
    ]
    assert findings[0].value == "about 40 of 100 rows at its start stand still (1.6 s)"
    assert findings[1].value == "about 20 of 100 rows at its end stand still (0.8 s)"


@pytest.mark.parametrize(
    ("rate", "rows", "least"), [(25.0, 100, 13), (80.0, 100, 20), (None, 200, 10), (5.0, 300, 5)]
)
def test_a_moment_is_not_worth_a_note(rate: float | None, rows: int, least: int) -> None:
    """Half a second, a fifth of the episode or, without a rate, 10 rows; 5 at least."""
    assert check_idle([Idle("", rows, least - 1, 0)], rate) == []
    assert len(check_idle([Idle("", rows, least, 0)], rate)) == 1
