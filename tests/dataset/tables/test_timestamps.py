from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.tables.timestamps import is_time, seconds_of
from vip_offline.errors import VipOfflineError

RATE = 30
ROWS = np.arange(60) / RATE
EPOCH = 1_764_000_000


@pytest.mark.parametrize(
    "name",
    [
        *("timestamp", "timestamps", "time", "t", "T", "stamp", "secs", "seconds", "header.stamp"),
        *("time_ns", "timestamp_ms", "t [s]", "Time (s)", "time/ms", "Zeit in s", "%time"),
        *("__time", "field.header.stamp", "observation/timestamp", "X_Value", "Zeit [ms]"),
        *("t_us", "timestamp_µs"),
    ],
)
def test_names_of_times(name: str) -> None:
    assert is_time(name)


@pytest.mark.parametrize(
    "name",
    ["action", "action_0", "tx", "effort", "times_grasped", "nsecs", "s", "speed [m/s]", "x/s"],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_time(name)


@pytest.mark.parametrize(
    ("name", "values", "unit", "how"),
    [
        ("t", ROWS, "", "seconds"),
        ("t", np.round(ROWS * 1e3), "", "milliseconds"),
        ("t", ROWS * 1e3, "", "milliseconds"),
        ("t", (ROWS * 1e6).astype(np.int64), "", "microseconds"),
        ("t", (ROWS * 1e9).astype(np.uint64), "", "nanoseconds"),
        ("t_ms", ROWS * 1e3, "", "milliseconds"),
        ("t (us)", ROWS * 1e6, "", "microseconds"),
        ("t", ROWS * 1e3, "ms", "milliseconds"),
        ("time_ms", ROWS, "s", "seconds"),
        ("t", (ROWS * 1e9).astype(np.int64) + EPOCH * 10**9, "", "nanoseconds since 1970"),
        ("t", (ROWS * 1e6).astype(np.int64) + EPOCH * 10**6, "", "microseconds since 1970"),
        ("t", np.round(ROWS * 1e3) + EPOCH * 1e3, "", "milliseconds since 1970"),
        ("t", ROWS + EPOCH, "", "seconds since 1970"),
        ("t", (ROWS * 1e9).astype(np.int64) + 3 * 10**14, "", "nanoseconds"),  # 3 days of uptime
        ("t", ROWS.reshape(-1, 1), "", "seconds"),
        ("t", np.arange(5) + 0.0, "s", "seconds"),
    ],
)
def test_the_unit_of_times(name: str, values: NDArray[Any], unit: str, how: str) -> None:
    read = seconds_of(name, values, unit)
    assert read is not None and read[1] == how
    expected = np.arange(5.0) if unit == "s" and len(values) == 5 else ROWS
    np.testing.assert_allclose(read[0] - read[0][0], expected, atol=1e-3)


@pytest.mark.parametrize(
    "values",
    [np.arange(9), np.arange(1, 9), np.repeat(np.arange(3), 4), np.array(["a", "b"]), np.eye(3)],
    ids=["from 0", "from 1", "stands still", "words", "matrix"],
)
def test_what_is_no_time(values: NDArray[Any]) -> None:
    assert seconds_of("t", values) is None


def test_times_that_are_refused() -> None:
    with pytest.raises(VipOfflineError, match=r"'t', row 2: the time goes back from 0.2 to 0.1"):
        seconds_of("t", np.array([0, 0.2, 0.1]))
    with pytest.raises(VipOfflineError, match=r"'t': 46000 with steps of 2.3e-07 looks like days"):
        seconds_of("t", 46000 + np.arange(9) * 0.02 / 86400)
    with pytest.raises(VipOfflineError, match=r"'t', row 1: the time is nan"):
        seconds_of("t", np.array([0, np.nan, 0.1]))
