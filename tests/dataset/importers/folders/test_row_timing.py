import numpy as np
import pytest

from vip_offline.dataset.importers.folders.row_timing import PartTiming, align
from vip_offline.errors import VipOfflineError


def taken(name: str, rows: int, rate: float = 0, begin: float = 0) -> PartTiming:
    seconds = begin + np.arange(rows) / rate if rate else None
    return PartTiming(name, rows, seconds, "its clock" if rate else "", name in ("front", "wrist"))


def test_as_many_rows_without_times_go_row_by_row() -> None:
    timing = align([taken("front", 12, 10), taken("robot", 12)], "ep0")
    assert (timing.keep, timing.targets, timing.notes) == (slice(0, 12), {}, ())


def test_rows_of_another_rate_are_wanted_at_the_frames_times() -> None:
    timing = align([taken("front", 360, 30), taken("robot", 600, 50, 1.7e9)], "ep0")
    np.testing.assert_allclose(timing.targets["robot"], 1.7e9 + np.arange(360) / 30)
    assert timing.keep == slice(0, 360)
    assert "robot (600 rows, its clock) is brought to the times of front" in timing.notes[0]
    assert "increments must be summed to that rate" in timing.notes[0]
    assert "both from their first row on" in timing.notes[0]


def test_of_one_clock_frames_outside_the_rows_are_left_out_and_counted() -> None:
    parts = [taken("front", 30, 10, 100.0), taken("robot", 100, 50, 100.55)]
    timing = align(parts, "ep0")
    assert timing.keep == slice(5, 26)
    assert "9 rows of front lie outside the time of robot" in timing.notes[1]


def test_the_slowest_camera_leads() -> None:
    timing = align([taken("front", 60, 60), taken("wrist", 30, 30), taken("robot", 30)], "ep0")
    assert [*timing.targets] == ["front"]


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
    parts: list[PartTiming], message: str
) -> None:
    with pytest.raises(VipOfflineError, match=message):
        align(parts, "ep0")


def test_a_gap_in_one_of_two_equal_lengths_is_seen() -> None:
    stamps = np.arange(208) / 10
    shown = np.delete(stamps, np.arange(20, 28))
    video = PartTiming("front", 200, shown, "its stamps", True)
    timing = align([video, taken("robot", 208, 10)], "ep0")
    np.testing.assert_allclose(timing.targets["robot"], shown)
    lacking = np.delete(np.arange(201) / 10, 50)  # a row is lost, and there is one more at the end
    log = PartTiming("robot", 200, lacking, "its column", False)
    timing = align([taken("front", 200, 10), log], "ep0")
    assert timing.targets["robot"][150] == pytest.approx(15.0)


def test_two_clocks_since_1970_without_a_time_in_common_are_refused() -> None:
    parts = [taken("front", 12, 10, 1.7e9), taken("robot", 12, 10, 1.7e9 + 3600)]
    with pytest.raises(VipOfflineError, match="fewer than two rows in common"):
        align(parts, "ep0")
    late = [taken("front", 12, 10, 1.7e9), taken("robot", 12, 10, 1.7e9 + 0.7)]
    assert align(late, "ep0").keep == slice(7, 12)


def test_a_log_that_begins_before_the_video_is_not_moved() -> None:
    timing = align([taken("front", 600, 10), taken("robot", 620, 10, -2.0)], "ep0")
    np.testing.assert_allclose(timing.targets["robot"], np.arange(600) / 10)


def test_no_length_makes_up_for_a_second() -> None:
    with pytest.raises(VipOfflineError, match="contradict"):
        align([taken("front", 6000, 10), taken("robot", 6020, 10, 1.7e9)], "ep0")
