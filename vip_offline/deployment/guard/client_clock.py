"""How late an observation is, by a client's own clock, whose offset, drift and steps are unknown.

The difference of arrival and stated time is ``offset + drift * time + delay``. No delay is below 0,
so the least difference, let rise as fast as a clock may run slow, follows offset and drift: a
minimum over the past in which what is older counts less. Times are given, never read.

With a drift of at most `DRIFT`, and as "delay" that on top of the quickest's,

- an observation that was delayed by more than the limit, the least delay of the last minute and
  60 (`SLEW` + `DRIFT`) = 0.036 s is late, also where delays creep up by more than that a minute;
- one delayed by less than the limit is not, but for 2 `DRIFT` of the time (0.72 s an hour) for
  which all before it were late: a lasting delay is never taken for the new offset.

A clock that is set forward makes the difference fall, which is followed at once. One that is set
back makes stated times fall, which no delay can do, as long as observations come more often than
they may be late: it is followed once some observations agree, and until then they are held.
"""

from dataclasses import dataclass

DRIFT = 1e-4  # s per s, by which crystals are off
SLEW = 5e-4  # s per s, by which the kernel turns a clock without a step
AGREE = 5  # observations, none of them quicker than those before, that make a clock's new line
JITTER = 5e-3  # s, by which one of them may be quicker
STEP = 0.25  # s, by which a difference must fall at once to be said to be a step


@dataclass(frozen=True)
class Reading:
    """Result of reading one time stamp."""

    late: float  # s that it was longer on its way than the quickest
    grew: bool = True  # whether it is after all before, or the clock was found to have stepped
    step: float = 0.0  # s by which the clock was found to have been set, just now; 0: it was not
    held: int = 0  # observations that did not grow before that was found


class _Line:
    """One offset and drift."""

    def __init__(self, stamp: float, arrived: float) -> None:
        self.newest = stamp
        self.count = 1
        self.agree = 1  # observations since one was quicker
        self.least = arrived - stamp
        self._at = arrived

    def late(self, stamp: float, arrived: float) -> float:
        """Delay in s relative to this line; negative if faster than all before."""
        return arrived - stamp - self.least - SLEW * (arrived - self._at)

    def follow(self, stamp: float, arrived: float, limit: float) -> None:
        """Update with a time stamp that belongs to this line."""
        late, waited = self.late(stamp, arrived), arrived - self._at
        if late > limit:
            self.least -= DRIFT * waited
        else:
            self.least = min(arrived - stamp, self.least + SLEW * waited)
        self.agree = 1 if late < -JITTER else self.agree + 1
        self.count += 1
        self.newest, self._at = max(self.newest, stamp), arrived


class ClientClock:
    """The clock of one connection's client."""

    def __init__(self, limit: float) -> None:
        """Know nothing yet.

        Args:
            limit: s, by which an observation may be late.
        """
        self._limit = limit
        self._line: _Line | None = None
        self._other: _Line | None = None  # begun where stated times fell

    def read(self, stamp: float, arrived: float) -> Reading:
        """Take the next observation.

        Args:
            stamp: its time, s on the client's clock.
            arrived: s on a clock of ours that never steps.
        """
        line = self._line
        if line is None:
            self._line = _Line(stamp, arrived)
            return Reading(0.0)
        late = line.late(stamp, arrived)
        if stamp > line.newest and (late <= self._limit or self._other is None):
            self._other = None
            step = -late if late < -STEP and line.count >= AGREE else 0.0
            line.follow(stamp, arrived, self._limit)
            return Reading(max(late, 0.0), step=step)
        return self._fallen(line, stamp, arrived)

    def _fallen(self, line: _Line, stamp: float, arrived: float) -> Reading:
        """Of a time that is not after those before, or follows one that was not."""
        late, candidate = line.late(stamp, arrived), self._other
        if candidate is None or stamp < candidate.newest:
            # the same once more is a repetition, and no clock that was set
            self._other = _Line(stamp, arrived) if stamp < line.newest else candidate
        elif stamp > candidate.newest:
            candidate.follow(stamp, arrived, self._limit)
            if candidate.agree >= AGREE:
                self._line, self._other = candidate, None
                return Reading(0.0, step=-late, held=candidate.count - 1)
        return Reading(late, grew=False)

    @property
    def newest(self) -> float | None:
        """The stated time that the next one must be after; None before the first."""
        line = self._other or self._line
        return None if line is None else line.newest
