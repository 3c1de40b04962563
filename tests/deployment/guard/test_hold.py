from dataclasses import replace

import numpy as np
import pytest
from made_up_serving import INTERFACE

from vip_offline.deployment.guard.hold import NOT_YET, choose_hold
from vip_offline.policies.interface import ACTIONS, Interface

UNKNOWN = replace(INTERFACE, action_kind="")
# joints about 0.3 to 1.5 rad: within one tick they change by 0.1 at most
POSITIONS = replace(UNKNOWN, low=(0.3, -0.2), high=(1.5, 0.4), largest_step=(0.1, 0.1))
X, Y = INTERFACE.action


@pytest.mark.parametrize(
    ("kind", "hold"), [("velocity", "zero"), ("delta", "zero"), ("position", "last")]
)
def test_the_kind_of_action_decides(kind: str, hold: str) -> None:
    holding = choose_hold(replace(POSITIONS, action_kind=kind), "auto")
    assert holding.hold == hold


@pytest.mark.parametrize(("kind", "hold"), [("velocity", "zero"), ("position", "last")])
def test_what_is_guessed_from_the_data_is_said(kind: str, hold: str) -> None:
    guessed = replace(UNKNOWN, action_kind=kind, action_kind_guessed=True)
    holding = choose_hold(guessed, "auto")
    assert holding.hold == hold
    text = f"hold: {hold}, a guess: in the training data an action looks like a {kind}"
    assert holding.notes[0].startswith(text)
    holding = choose_hold(replace(guessed, action_kind_guessed=False), "auto")
    assert not any("guess" in note for note in holding.notes)


def test_a_policy_that_does_not_say_it_is_held_where_no_jump_can_come_from() -> None:
    holding = choose_hold(POSITIONS, "auto")
    assert holding.hold == "last"
    assert (
        f"0 is up to 15 times the largest demonstrated step away from demonstrated actions ({X})"
        in (holding.notes[0])
    )
    assert 'action_kind = "velocity"' in holding.notes[0]
    assert holding.notes[-1] == NOT_YET


@pytest.mark.parametrize(("reach", "hold"), [(0.25, "zero"), (0.26, "last")])
def test_a_policy_whose_zero_is_a_demonstrated_step_away(reach: float, hold: str) -> None:
    near = replace(UNKNOWN, low=(-reach, 0.0), high=(reach, 0.1))  # steps of 0.25 and 0.1
    holding = choose_hold(near, "auto")
    assert holding.hold == hold
    assert "a guess" in holding.notes[0]


def test_an_older_policy_of_the_simulator_gives_differences() -> None:
    names = ACTIONS["metaworld"][0]
    least, most, step = ((value,) * 4 for value in (-1.0, 1.0, 0.1))
    old = Interface(INTERFACE.frames, INTERFACE.proprio, names, least, most, step)
    assert choose_hold(old, "auto").hold == "zero"
    assert choose_hold(old, "auto").notes == ()


@pytest.mark.parametrize("kind", ["position", ""])
def test_a_zero_that_was_asked_for_and_jumps_is_said(kind: str) -> None:
    holding = choose_hold(replace(POSITIONS, action_kind=kind), "zero")
    assert holding.hold == "zero"
    outside, jump = holding.notes
    assert f"zero is outside of the training set's range of {X}." in outside
    assert (
        f"zero is up to 15 times the largest demonstrated step away from demonstrated actions ({X})"
        in jump
    )
    assert "a robot of positions jumps there" in jump


def test_an_action_of_ones_own_is_compared_with_the_demonstrated_steps() -> None:
    position = replace(POSITIONS, action_kind="position")
    (jump,) = choose_hold(position, (1.4, 0.0)).notes
    assert jump.startswith("hold: 1.4,0 is up to 11 times the largest demonstrated step")
    assert choose_hold(replace(POSITIONS, action_kind="velocity"), (1.4, 0.0)).notes == ()


def test_a_velocity_that_is_repeated_keeps_the_robot_moving() -> None:
    moving, not_yet = choose_hold(INTERFACE, "last").notes
    assert moving.startswith("hold: last repeats a velocity, so the robot goes on moving")
    assert not_yet == NOT_YET
    assert choose_hold(replace(INTERFACE, action_kind="position"), "last").notes == (NOT_YET,)


def test_a_dimension_that_never_changed_has_no_step() -> None:
    fixed = replace(UNKNOWN, low=(-0.1, 0.5), high=(0.1, 0.5), largest_step=(0.25, 0.0))
    holding = choose_hold(fixed, "auto")
    assert holding.hold == "last"
    assert f"({Y})" in holding.notes[0]
    still = replace(fixed, low=(-0.1, 0.0), high=(0.1, 0.0))
    assert choose_hold(still, "auto").hold == "zero"
    assert not np.isnan(still.largest_step).any()
