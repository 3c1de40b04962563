"""Each check on arrays that have what it looks for, and on arrays that have not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.media.frame_rate import rate_of
from vip_offline.dataset.validation.checks import (
    Range,
    check_action_range,
    check_camera_sizes,
    check_constant,
    check_counts,
    check_finite,
    check_frames,
    check_lengths,
    check_rows_in_video,
    check_size,
    check_steady,
    check_success,
    check_video_rate,
    longest,
    mark_frames,
    moved,
    range_of,
)
from vip_offline.dataset.validation.findings import Finding


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.severity) for finding in findings]


def test_values_that_are_not_finite() -> None:
    values = np.zeros((4, 3))
    assert check_finite("proprio", values) == []
    values[2, 1], values[3, 0] = np.nan, np.inf
    (finding,) = check_finite("proprio", values)
    assert (finding.severity, finding.value) == ("wrong", "proprio[2, 1] is nan (2 in all)")


def test_an_action_that_was_not_taken_is_no_mistake() -> None:
    action = np.zeros((3, 2))
    action[-1] = np.nan
    assert check_finite("action", action) == []
    assert kinds(check_finite("proprio", action)) == [("not-finite", "wrong")]
    action[-1, 0] = 0  # half of it was
    assert kinds(check_finite("action", action)) == [("not-finite", "wrong")]
    assert check_finite("action", np.zeros((3, 0))) == []


def test_actions_beyond_one() -> None:
    action = np.array([[1.0, -1.0], [0.5, -1.5], [3.0, np.nan]])
    (finding,) = check_action_range(action)
    assert finding.severity == "note"
    assert finding.value == "action[1, 1] is -1.5, beyond [-1, 1] (2 in all)"
    assert check_action_range(action[:1]) == []


def test_dimensions_that_never_change() -> None:
    first = range_of(np.array([[1.0, 2.0], [1.0, 3.0], [np.nan, np.nan]]))
    assert first is not None
    assert [finding.value for finding in check_constant(first)] == ["dimension 0 is 1 in every row"]
    second = range_of(np.array([[0.5, 2.5]]))
    assert second is not None
    joined = first.joined(second)
    np.testing.assert_array_equal([joined.low, joined.high], [[0.5, 2.0], [1.0, 3.0]])
    assert check_constant(joined) == []
    assert range_of(np.full((3, 2), np.nan)) is None
    assert range_of(np.zeros((3, 0))) is None


def test_what_counts_as_moving() -> None:
    still = np.full((5, 3), 400.0) + np.linspace(0, 0.1, 5)[:, None]  # noise of a large number
    assert not moved(still)
    assert moved(still + np.linspace(0, 5, 5)[:, None])
    assert not moved(np.zeros((5, 0)))


def test_rows_that_are_missing() -> None:
    assert check_counts({"action": 5, "camera front": 5}, 5) == []
    (finding,) = check_counts({"action": 5, "camera front": 4}, 5)
    assert (finding.kind, finding.value) == ("length", "camera front has 4 rows, the episode 5")
    assert kinds(check_counts({"action": 1}, 1)) == [("too-short", "wrong")]


def test_lengths_far_from_the_others() -> None:
    lengths = np.array([50, 50, 48, 16, 151, 17])
    findings = check_lengths(lengths, list("abcdef"))
    assert [(finding.where, finding.severity) for finding in findings] == [
        ("episode d", "note"),
        ("episode e", "note"),
    ]
    assert check_lengths(np.zeros(0, np.int64), []) == []


def test_episodes_without_success() -> None:
    assert [finding.where for finding in check_success([True, False, None], list("abc"))] == [
        "episode b"
    ]
    assert kinds(check_success([False, False], ["a", "b"])) == [("no-success", "note")]
    assert check_success([None, None], ["a", "b"]) == []
    assert check_success([], []) == []


def test_gaps_and_steps_back_in_time() -> None:
    seconds = np.arange(10) / 10
    assert check_steady(seconds) == []
    assert check_steady(seconds[:1]) == []
    (gap,) = check_steady(np.delete(seconds, [4, 5]))
    assert gap.severity == "note"
    assert gap.value == "0.300 to 0.600 s, where 0.100 s are usual (1 in all)"
    seconds[3] = 0.1
    (back,) = check_steady(seconds)
    assert (back.kind, back.severity) == ("time-goes-back", "wrong")
    assert "row 3 is at 0.100 s" in back.value


def test_rates() -> None:
    seconds = np.arange(30) / 29.97
    assert check_video_rate(30, seconds) == []
    (finding,) = check_video_rate(25, seconds)
    assert finding.severity == "wrong"
    assert "say 25 Hz, the video has 29.97" in finding.value
    # a gap does not make it slower, nor rounding to milliseconds faster
    assert rate_of(np.delete(seconds, range(5, 15))) == pytest.approx(29.97)
    assert rate_of(np.round(np.arange(300) / 30, 3)) == pytest.approx(30, rel=1e-3)
    assert rate_of(seconds[:1]) is None
    assert check_video_rate(25, seconds[:1]) == []


def test_rows_and_the_frames_they_fall_on() -> None:
    times = np.arange(10) / 10
    nearest, findings = check_rows_in_video(times, times[3:7] + 0.04, 0.05)
    assert (nearest.tolist(), findings) == ([3, 4, 5, 6], [])
    _, findings = check_rows_in_video(times, np.array([0.8, 0.9, 1.0, 1.1]), 0.05)
    assert kinds(findings) == [("no-frame", "wrong")]
    assert findings[0].value == "row 2 needs 1.000 s: the video ends at 0.900 s (2 rows in all)"
    _, findings = check_rows_in_video(np.delete(times, 5), times, 0.05)
    assert findings[0].value == "row 5 needs 0.500 s: 0.100 s off (1 rows in all)"
    _, findings = check_rows_in_video(times, np.array([0.1, 0.14, 0.3]), 0.05)
    assert findings[0].value == "rows 0 and 1 fall on one frame (1 in all)"
    nearest, findings = check_rows_in_video(times[:1], times[:1], 0.05)
    assert (nearest.tolist(), findings) == ([0], [])


def frames(*levels: int) -> NDArray[np.uint8]:
    grey = np.array(levels, np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey[:, None, None, None], (len(levels), 4, 4, 3)))


def test_frames_that_repeat_and_black_ones() -> None:
    repeats, black, _ = mark_frames(frames(50, 50, 0, 8, 9, 9), None, 0)
    assert repeats.tolist() == [False, True, False, False, False, True]
    assert black.tolist() == [False, False, True, True, False, False]
    repeats, _, last = mark_frames(frames(50, 51, 60, 61), frames(49)[0], 2)
    assert repeats.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(last, frames(60)[0])
    repeats, _, _ = mark_frames(frames(*range(50, 70)), None, 6)  # a slow fade does not stand still
    assert repeats.tolist() == [row % 7 != 0 for row in range(20)]
    repeats, _, _ = mark_frames(frames(253, 2), None, 6)  # unsigned numbers must not wrap round
    assert repeats.tolist() == [False, False]
    one = frames(50, 50)
    one[1, 3, 3, 2] += 1  # a single pixel is a difference
    assert mark_frames(one, None, 0)[0].tolist() == [False, False]


def test_a_camera_that_hangs_is_told_from_a_robot_that_stands() -> None:
    still = np.array([False, True, True])
    light = np.zeros(3, bool)
    assert kinds(check_frames(still, light, moves=True)) == [("frozen-camera", "wrong")]
    assert kinds(check_frames(still, light, moves=False)) == [("nothing-moves", "note")]
    assert kinds(check_frames(still, ~light, moves=True)) == [("black-camera", "wrong")]
    assert check_frames(light, light, moves=True) == []
    first = np.array([True, False, False])
    assert kinds(check_frames(light, first, moves=True)) == [("black-frames", "note")]
    some = np.array([False, True, False, True, True, False])
    findings = check_frames(some, np.arange(6) == 2, moves=True)
    assert kinds(findings) == [("black-frames", "note"), ("repeated-frames", "note")]
    assert findings[0].value == "1 of 6, the first in row 2"
    assert findings[1].value == "3 of 6 equal the one before, at most rows 2 to 4 at a stretch"
    assert longest(some) == (3, 5)


def test_sizes() -> None:
    assert check_size((4, 6), (4, 6)) == []
    assert "4x6 px, expected 6x4" in check_size((4, 6), (6, 4))[0].value
    assert check_camera_sizes({"a": (4, 4), "b": (4, 4)}) == []
    assert kinds(check_camera_sizes({"a": (4, 4), "b": (8, 4)})) == [("camera-sizes", "note")]


def test_a_range_is_of_numbers_only() -> None:
    joined = Range(np.array([np.nan]), np.array([1.0])).joined(Range(np.zeros(1), np.zeros(1)))
    assert (joined.low.tolist(), joined.high.tolist()) == ([0], [1])
