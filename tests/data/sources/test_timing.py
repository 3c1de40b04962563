import numpy as np
import pytest

from vip_offline.data.sources.timing import Taken, align
from vip_offline.errors import VipOfflineError


def taken(name: str, rows: int, rate: float = 0, begin: float = 0) -> Taken:
    seconds = begin + np.arange(rows) / rate if rate else None
    return Taken(name, rows, seconds, "its clock" if rate else "", name in ("front", "wrist"))


def test_as_many_rows_without_times_go_row_by_row() -> None:
    timing = align([taken("front", 12, 10), taken("robot", 12)], "ep0")
    assert (timing.keep, timing.wanted, timing.notes) == (slice(0, 12), {}, ())


def test_rows_of_another_rate_are_wanted_at_the_frames_times() -> None:
    timing = align([taken("front", 360, 30), taken("robot", 600, 50, 1.7e9)], "ep0")
    np.testing.assert_allclose(timing.wanted["robot"], 1.7e9 + np.arange(360) / 30)
    assert timing.keep == slice(0, 360)
    assert "robot (600 rows, its clock) is brought to the times of front" in timing.notes[0]
    assert "both from their first row on" in timing.notes[0]


def test_of_one_clock_frames_outside_the_rows_are_left_out_and_counted() -> None:
    parts = [taken("front", 30, 10, 100.0), taken("robot", 100, 50, 100.55)]
    timing = align(parts, "ep0")
    assert timing.keep == slice(5, 26)
    assert "9 rows of front lie outside the time of robot" in timing.notes[1]


def test_the_slowest_camera_leads() -> None:
    timing = align([taken("front", 60, 60), taken("wrist", 30, 30), taken("robot", 30)], "ep0")
    assert [*timing.wanted] == ["front"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            [taken("front", 360, 30), taken("robot", 600)],
            r"front 360 frames, robot 600 rows.*the rows of robot were taken.*--rate robot=HZ",
        ),
        (
            [taken("front", 360, 30), taken("robot", 360, 50)],
            r"front 360 frames cover 11.967 s .*robot 360 rows 7.180 s .*contradict.*time=",
        ),
    ],
)
def test_what_cannot_go_together_is_refused_with_the_way_out(
    parts: list[Taken], message: str
) -> None:
    with pytest.raises(VipOfflineError, match=message):
        align(parts, "ep0")
