"""Which action is sent in place of one that must not be sent, and what to say of it at start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.options import GivenHold, Hold
from vip_offline.policies.interface import ACTIONS, SIMULATED_KINDS, Interface

STILL_AT_ZERO = ("velocity", "delta")
NOT_YET = "Until a connection was sent a first action, a held reply has none."


@dataclass(frozen=True)
class Holding:
    """The hold action and the reasons for it."""

    hold: Hold
    notes: tuple[str, ...]  # sentences for the person at the terminal


def choose_hold(interface: Interface, requested: GivenHold) -> Holding:
    """Choose the hold action from the kind of the policy's actions.

    ``auto`` is ``zero`` for velocities and increments and ``last`` for positions. Where the
    policy's manifest does not say what they are (old ones never do), it is ``zero`` if no
    demonstrated action is further from 0 than the largest demonstrated step, and else ``last``.
    """
    kind = _kind(interface)
    hold, notes = _chosen(interface, kind) if requested == "auto" else (requested, [])
    notes += _doubts(interface, hold, kind)
    return Holding(hold, (*notes, *([NOT_YET] if hold == "last" else [])))


def _chosen(interface: Interface, kind: str) -> tuple[Hold, list[str]]:
    """The default, and where it comes from unless that is plain."""
    if kind in STILL_AT_ZERO and not interface.action_kind_guessed:
        return "zero", []
    hold: Hold
    if kind:
        hold = "zero" if kind in STILL_AT_ZERO else "last"
        if not interface.action_kind_guessed:
            return hold, [f"hold: {hold}, since an action is a {kind}."]
        like = "a velocity or an increment (delta)" if kind in STILL_AT_ZERO else f"a {kind}"
        why = f"in the training data an action looks like {like}"
    else:
        jump, name = _jump(interface, np.zeros(len(interface.action)))
        hold = "zero" if jump <= 1 else "last"
        why = (
            "the policy does not say what kind of action it gives, and 0 is up to "
            f"{_steps(jump)} away from demonstrated actions ({name})"
        )
    return hold, [
        f'hold: {hold}, a guess: {why}. Say it by --hold, or by action_kind = "velocity", '
        '"delta" or "position" in `vip-offline ship --describe`.'
    ]


def _kind(interface: Interface) -> str:
    """The kind of action; "": nobody knows."""
    if interface.action_kind:
        return interface.action_kind
    for source, (names, _) in ACTIONS.items():  # of a manifest that is older than kinds
        if interface.action == names:
            return SIMULATED_KINDS[source]
    return ""


def _doubts(interface: Interface, hold: Hold, kind: str) -> list[str]:
    """What speaks against a hold action."""
    if hold == "last":
        if kind not in STILL_AT_ZERO:
            return []
        return [f"hold: last repeats a {kind}, so the robot goes on moving; --hold zero does not."]
    width = len(interface.action)
    action = np.zeros(width) if hold == "zero" else np.array(hold, np.float64)
    if len(action) != width:
        return []  # refused elsewhere
    called = "zero" if hold == "zero" else ",".join(f"{value:g}" for value in action)
    notes = []
    limits = zip(interface.action, interface.low, interface.high, action, strict=True)
    outside = [name for name, low, high, value in limits if not low <= value <= high]
    if outside:
        notes.append(
            f"hold: {called} is outside of the training set's range of {', '.join(outside)}. If it "
            "does not mean standing still, use --hold last or another action."
        )
    jump, name = _jump(interface, action)
    if kind not in STILL_AT_ZERO and jump > 1:
        notes.append(
            f"hold: {called} is up to {_steps(jump)} away from demonstrated actions ({name}): a "
            "robot of positions jumps there. --hold last does not."
        )
    return notes


def _steps(jump: float) -> str:
    return f"{jump:.3g} times the largest demonstrated step"


def _jump(interface: Interface, action: NDArray[np.float64]) -> tuple[float, str]:
    """How far (A,) is from the furthest demonstrated action, in largest steps, and where."""
    low, high, step = (
        np.array(values, np.float64)
        for values in (interface.low, interface.high, interface.largest_step)
    )
    far = np.maximum(np.abs(low - action), np.abs(high - action))
    # of a dimension that never moved any step is infinitely larger
    jumps = np.divide(far, step, out=np.where(far > 0, np.inf, 0.0), where=step > 0)
    worst = int(np.argmax(jumps))
    return float(jumps[worst]), interface.action[worst]
