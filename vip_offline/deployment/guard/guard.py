"""What stands between a policy's actions and a robot: pure logic, one `Guard` per connection.

Every rule either changes an action within the limits of the training set and says so, or sends
the hold action and says why. Times are given, never read, so every rule can be worked by hand.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.deployment.guard.client_clock import ClientClock
from vip_offline.errors import VipOfflineError
from vip_offline.options import Hold
from vip_offline.policies.interface import Interface

# both optional: seconds; counts up
TIME_KEY, SEQUENCE_KEY = "observation/time", "observation/sequence"
# of an action's size: less is rounding between float32 and the limits' float64
ROUNDING = 1e-6
COUNTERS = (1 << 16, 1 << 32)  # where the sequence numbers of small computers begin again
UNLIMITED: Mapping[str, list[str]] = {"range": [], "step": []}
NONE_YET = (
    "There is no last action to hold yet, so the reply has no action: the robot is to be told "
    "nothing."
)


@dataclass(frozen=True)
class Rules:
    """Limits on actions, and when an action is replaced by the hold action."""

    low: NDArray[np.float64]  # (A,) least of the training set
    high: NDArray[np.float64]  # (A,) greatest
    largest_step: NDArray[np.float64]  # (A,) greatest change from one control tick to the next
    names: tuple[str, ...]  # (A,)
    hold: Hold
    timeout_s: float
    stop_above: float | None

    @classmethod
    def of(
        cls, interface: Interface, hold: Hold, timeout_s: float, stop_above: float | None
    ) -> Self:
        """Build the rules of a policy.

        Raises:
            VipOfflineError: on a hold action of another length.
        """
        fits = len(hold) == len(interface.action)
        if isinstance(hold, tuple) and not (fits and np.isfinite(hold).all()):
            raise VipOfflineError(
                f"--hold {','.join(f'{value:g}' for value in hold)}: expected auto, zero, last or "
                f"{len(interface.action)} finite numbers ({', '.join(interface.action)})."
            )
        low, high, step = (
            np.array(values, np.float64)
            for values in (interface.low, interface.high, interface.largest_step)
        )
        return cls(low, high, step, interface.action, hold, timeout_s, stop_above)


@dataclass(frozen=True)
class Trouble:
    """Reason for holding an action."""

    reason: str  # one word, to count by
    message: str


@dataclass(frozen=True)
class GuardDecision:
    """The action to send, and a report of what was changed."""

    action: NDArray[np.float32]  # (A,); (0,): held, and there is none to hold yet
    report: dict[str, Any]  # as it goes into the reply: plain values


class Guard:
    """State of one connection: actions sent and observations received so far."""

    def __init__(self, rules: Rules, say: Callable[[str], None] = lambda line: None) -> None:
        self._rules = rules
        self._say = say
        self._sent: NDArray[np.float64] | None = None  # (A,) the action before
        self._arrived: float | None = None
        self._sequence: float | int | None = None
        self._clock = ClientClock(rules.timeout_s)
        self._stopped: Trouble | None = None
        # actions sent; of them held back, limited by range or step; and held, by reason
        self.counts = Counter[str](actions=0, held=0, range=0, step=0)

    def receive(
        self, observation: Mapping[str, Any], keys: tuple[str, ...], arrived: float
    ) -> Trouble | None:
        """Check an observation before the policy sees it.

        Args:
            observation: by our keys.
            keys: those that the policy reads.
            arrived: when, in seconds of a clock that never steps back.

        Returns:
            Why the next action must be the hold action, if it must.

        Raises:
            VipOfflineError: on a time or sequence number that is no number.
        """
        troubles = [self._silence(arrived), self._staleness(observation, arrived)]
        self._arrived = arrived
        for key in keys:
            value = np.asarray(observation.get(key, 0))
            # what is finite in float64 but not in float32 would reach the policy as infinity
            if value.dtype.kind == "f" and not (np.abs(value) <= np.finfo(np.float32).max).all():
                troubles.append(Trouble("not-finite", f"observation: {key} is not finite."))
        return next((trouble for trouble in [self._stopped, *troubles] if trouble), None)

    def _silence(self, arrived: float) -> Trouble | None:
        limit, before = self._rules.timeout_s, self._arrived
        if before is None or arrived - before <= limit:
            return None
        return Trouble(
            "timeout", f"No observation for {arrived - before:.3f} s; the limit is {limit:g} s."
        )

    def _staleness(self, observation: Mapping[str, Any], arrived: float) -> Trouble | None:
        troubles = []
        if SEQUENCE_KEY in observation:
            troubles.append(self._order(observation[SEQUENCE_KEY]))
        if TIME_KEY in observation:
            troubles.append(self._lateness(observation[TIME_KEY], arrived))
        return next((trouble for trouble in troubles if trouble), None)

    def _order(self, value: Any) -> Trouble | None:
        sequence, before = read_number(value, f"observation: {SEQUENCE_KEY}"), self._sequence
        if before is None or sequence > before or _began_again(before, sequence):
            self._sequence = sequence
            return None
        return _not_after(SEQUENCE_KEY, value, sequence, before)

    def _lateness(self, value: Any, arrived: float) -> Trouble | None:
        stamp, before = float(read_number(value, f"observation: {TIME_KEY}")), self._clock.newest
        reading = self._clock.read(stamp, arrived)
        if reading.step:
            way = "forward" if reading.step > 0 else "back"
            note = f" {reading.held} observations were held until then." if reading.held else ""
            self._say(
                f"the client's clock was set {way} by {abs(reading.step):.3f} s; it is followed "
                f"from here.{note}"
            )
        if not reading.grew and before is not None:
            return _not_after(TIME_KEY, value, stamp, before)
        if reading.late > self._rules.timeout_s:
            return Trouble(
                "stale",
                f"The observation was {reading.late:.3f} s longer on its way than others. Send the "
                "newest one, and no queue of them; if the client's clock was set back while it "
                "sent nothing, connect again.",
            )
        return None

    def release(
        self, action: NDArray[np.floating[Any]], novelty: float | None, now: float
    ) -> GuardDecision:
        """Limit an action of the policy, or replace it by the hold action.

        Args:
            action: (A,), in the store's own units.
            novelty: of the observation; above 1 is unlike the training set.
            now: on the clock of `receive`.
        """
        rules, waited = self._rules, now - (self._arrived if self._arrived is not None else now)
        if rules.stop_above is not None and not (
            novelty is not None and novelty <= rules.stop_above
        ):
            text = "unknown" if novelty is None else f"{novelty:.2f}"
            self._stopped = Trouble(
                "novelty",
                f"Novelty {text} is above --stop-above {rules.stop_above:g}: held until the "
                "connection is opened again.",
            )
            return self.hold(self._stopped, novelty)
        if action.shape != rules.low.shape or not np.isfinite(action).all():
            text = "The policy's action is not finite, or of another length."
            return self.hold(Trouble("action", text), novelty)
        if waited > rules.timeout_s:
            late = f"The answer took {waited:.3f} s; the limit is {rules.timeout_s:g} s."
            return self.hold(Trouble("slow", late), novelty)
        requested = action.astype(np.float64)
        ranged = np.clip(requested, rules.low, rules.high)
        sent = ranged
        if self._sent is not None:
            # a hold action may lie outside of the range: the way back starts at the range's border
            origin = np.clip(self._sent, rules.low, rules.high)
            sent = np.clip(ranged, origin - rules.largest_step, origin + rules.largest_step)
        limited = {
            "range": self._named(requested, ranged),
            "step": self._named(ranged, sent),
        }
        for rule, names in limited.items():
            self.counts[rule] += bool(names)
        return self._verdict(sent, None, novelty, limited)

    def hold(self, trouble: Trouble, novelty: float | None = None) -> GuardDecision:
        """Return the hold action; empty if it is the last action and there was none yet."""
        hold = self._rules.hold
        self.counts["held"] += 1
        self.counts[trouble.reason] += 1
        if hold == "last":
            if self._sent is None:
                # whatever was made up would move a robot that nobody has told anything yet
                message = f"{trouble.message} {NONE_YET}"
                return self._verdict(np.zeros(0), Trouble(trouble.reason, message), novelty)
            action = self._sent
        elif hold == "zero":
            action = np.zeros(len(self._rules.names))
        else:
            action = np.array(hold, np.float64)
        return self._verdict(action, trouble, novelty)

    def _verdict(
        self,
        action: NDArray[np.float64],
        trouble: Trouble | None,
        novelty: float | None,
        limited: Mapping[str, list[str]] = UNLIMITED,
    ) -> GuardDecision:
        # the next step is measured from what the robot was told, which is float32
        released = action.astype(np.float32)
        self._sent = released.astype(np.float64) if len(released) else None
        self.counts["actions"] += len(released) > 0
        report = {
            "held": trouble is not None,
            "reason": trouble.reason if trouble else "",
            "error": trouble.message if trouble else "",
            **{rule: list(names) for rule, names in limited.items()},
            "novelty": novelty,
            "counts": dict(self.counts),
        }
        return GuardDecision(released, report)

    def _named(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> list[str]:
        changed = np.abs(before - after) > ROUNDING * np.maximum(1, np.abs(before))
        return [
            name for name, is_changed in zip(self._rules.names, changed, strict=True) if is_changed
        ]


def _began_again(before: float | int, sequence: float | int) -> bool:
    """Whether a counter of 16 or 32 bits came to its end: a few above it, modulo its size."""
    near = 1 << 10
    return any(
        -size // 2 <= sequence < before < size
        and before % (size // 2) > size // 2 - near
        and 0 < (sequence - before) % size < near
        for size in COUNTERS
    )


def _not_after(key: str, value: Any, stamp: float | int, before: float | int) -> Trouble:
    text = f"{key} is {stamp:.15g} after {before:.15g}; it must grow."
    dtype = np.asarray(value).dtype
    if dtype.kind == "f" and dtype.itemsize < 8:
        apart = float(np.spacing(dtype.type(abs(stamp))))
        text += f" It is {dtype}, which cannot tell {apart:g} apart here; send float64."
    return Trouble("stale", text)


def read_number(value: Any, name: str) -> float | int:
    """A finite number that a client sent.

    Raises:
        VipOfflineError: beginning with `name`, such as ``observation: observation/time``.
    """
    array = np.asarray(value) if isinstance(value, int | float | np.generic | np.ndarray) else None
    if array is None or array.size != 1 or array.dtype.kind not in "iuf":
        raise VipOfflineError(f"{name} is {value!r:.80}; expected one number.")
    number: float | int = array.reshape(()).item()
    if not math.isfinite(number):
        raise VipOfflineError(f"{name} is {number}; expected a finite number.")
    return number
