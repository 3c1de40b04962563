"""Recognises time columns and converts them to seconds."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

TIME_NAMES = (
    *("timestamp", "timestamps", "time", "times", "t", "stamp", "stamps", "datetime", "clock"),
    *("sec", "secs", "second", "seconds", "elapsed", "elapsedtime", "timesec", "timems", "timens"),
    *("rostime", "unixtime", "epoch", "walltime", "simtime", "systemtime", "xvalue", "utc"),
    *("zeit", "zeitstempel", "uhrzeit", "temps", "tiempo"),
)
UNIT_SECONDS = {
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosec", "nanoseconds", "nanosecond"), 1e9),
    **dict.fromkeys(("us", "µs", "μs", "usec", "micros", "microsec", "microseconds"), 1e6),
    **dict.fromkeys(("ms", "msec", "millis", "millisec", "milliseconds", "millisecond"), 1e3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sekunden"), 1.0),
    **dict.fromkeys(("min", "minutes"), 1 / 60),
}  # counts in a second
UNIT_NAMES = {1e9: "nanoseconds", 1e6: "microseconds", 1e3: "milliseconds", 1.0: "seconds"}
EPOCHS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e8, 1.0))  # from this on, counts in a second
DAYS_FIRST, DAYS_STEP = 2e4, 1e-5  # date numbers in days: since 1954, more often than each second
SLOWEST = 5.0  # seconds between two rows; what is slower is counted in something finer

_BRACKETS = re.compile(r"\s*[\[(]\s*(\w+)\s*[\])]$|\s+in\s+(\w+)$|(?<=\w)\s*/\s*(\w+)$")
_TAIL = re.compile(r"[_ -]+([a-zµμ]+)$")


def is_time(name: str) -> bool:
    """Whether a name is that of a column of times: ``header.stamp``, ``time_ns``, ``t [s]``."""
    base, _ = _name_and_unit(name)
    return re.sub(r"[^a-zµμ]", "", base) in TIME_NAMES


def seconds_of(
    name: str, values: NDArray[Any], unit: str = ""
) -> tuple[NDArray[np.float64], str] | None:
    """A time column in seconds, and how it was read.

    The unit is the one given, else the name's (``time_ms``, ``t [s]``), else by the size of
    times since 1970, else by the usual step between rows: a robot does not log once in five
    seconds or slower, nor once a second by whole numbers.

    Args:
        name: the column's; ask `is_time` first whether it tells the time.
        values: (T,) or (T, 1) numbers.
        unit: the file's own, ``ms``; empty: it says none.

    Returns:
        (T,) float64 seconds, since 1970 where the numbers are, and words such as ``nanoseconds
        since 1970``. None if it counts rows (steps of exactly 1 from 0 or 1),
        stands still in most rows, or holds no numbers.

    Raises:
        VipOfflineError: where a time is missing or earlier than the one before, and where they look
            like days.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "iuf" or values.size != len(values):
        return None
    values = values.reshape(-1)
    per_second = UNIT_SECONDS.get(unit.strip(" []()").lower()) or UNIT_SECONDS.get(
        _name_and_unit(name)[1]
    )
    steps = np.diff(values) if values.dtype.kind != "u" else np.diff(values.astype(np.float64))
    if not per_second and len(values) > 1 and values[0] in (0, 1) and (steps == 1).all():
        return None
    _check_ascending(name, values, steps)
    if 2 * (steps == 0).sum() > len(steps):
        return None
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    first = abs(float(values[0])) if len(values) else 0.0
    epoch = next((per for least, per in EPOCHS if first > least), 0.0)
    if not per_second and epoch and step / epoch < SLOWEST:
        per_second = epoch
    whole = bool((values == np.round(values)).all())
    if not per_second and 0 < step < DAYS_STEP and first > DAYS_FIRST:
        raise VipOfflineError(
            f"column {name!r}: {first:.12g} with steps of {step:.2g} looks like days, as Excel and "
            "Matlab count them. Multiply by 86400, or write the unit behind the name: t [s]."
        )
    per_second = per_second or _by_step(step, whole)
    seconds = values / per_second
    since = " since 1970" if first / per_second > EPOCHS[-1][0] else ""
    return seconds.astype(np.float64), f"{UNIT_NAMES.get(per_second, 'minutes')}{since}"


def _by_step(step: float, whole: bool) -> float:
    if step >= 1e6:
        return 1e9
    if step >= 1e3:
        return 1e6
    return 1e3 if step >= SLOWEST or (step >= 1 and whole) else 1.0


def _check_ascending(name: str, values: NDArray[Any], steps: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise VipOfflineError(
            f"column {name!r}, row {row}: the time is {values[row]}. Write the time of every row, "
            "or leave the episode out."
        )
    if (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        raise VipOfflineError(
            f"column {name!r}, row {row}: the time goes back from {values[row - 1]} to "
            f"{values[row]}. Sort the rows, or cut the file into one per episode."
        )


def _name_and_unit(name: str) -> tuple[str, str]:
    """A name's last part in small letters, without its unit, and the unit; empty for none."""
    name = name.strip().lower()
    match = _BRACKETS.search(name)
    if match and (match.group(1) or match.group(2) or match.group(3)) in UNIT_SECONDS:
        unit = match.group(1) or match.group(2) or match.group(3)
        stem = name[: match.start()]
        if match.group(3) is None or re.split("[./]", stem)[-1] in TIME_NAMES:
            return re.split("[./]", stem)[-1], unit
    base = re.split("[./]", name)[-1]
    tail = _TAIL.search(base)
    if tail and tail.group(1) in UNIT_SECONDS and tail.start():
        return base[: tail.start()], tail.group(1)
    return base, base if base in UNIT_SECONDS and base != "s" else ""
