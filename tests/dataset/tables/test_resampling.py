import numpy as np
import pytest

from vip_offline.dataset.tables.resampling import (
    Series,
    contradiction,
    linear_rows,
    nearest_rows,
    one_clock,
    step_of,
)


def test_nearest_takes_the_earlier_of_two_and_the_ends_beyond_them() -> None:
    rows = nearest_rows(np.array([0.0, 1.0, 2.0]), np.array([-5.0, 0.4, 0.5, 0.6, 9.0]))
    assert rows.tolist() == [0, 0, 0, 1, 2]


def test_linear_is_between_and_extrapolates_nothing() -> None:
    values = np.array([[0.0, 10.0], [1.0, 30.0]], np.float32)
    between = linear_rows(values, np.array([0.0, 2.0]), np.array([-1.0, 0.5, 2.0, 3.0]))
    expected = np.array([[0, 10], [0.25, 15], [1, 30], [1, 30]], np.float32)
    np.testing.assert_allclose(np.asarray(between, np.float32), expected)
    assert between.dtype == np.float32


def test_linear_keeps_nan_to_the_times_that_need_it() -> None:
    values = np.array([0.0, np.nan, 2.0, 3.0])
    targets = np.array([0.0, 0.5, 2.0, 2.5])
    between = linear_rows(values, np.arange(4.0), targets)
    assert np.isnan(between).tolist() == [False, True, False, False]


def test_a_series_of_50_hz_at_the_times_of_30_frames_per_second() -> None:
    at_50, at_30 = np.arange(100) / 50, np.arange(60) / 30
    series = Series(np.sin(at_50), at_50, at_30)
    assert np.abs(series.linear() - np.sin(at_30)).max() < 1e-4
    assert np.abs(series.nearest() - np.sin(at_30)).max() > 1e-3


@pytest.mark.parametrize(
    ("seconds", "other", "spans"),
    [
        (np.arange(360) / 30, np.arange(600) / 50, False),  # 12 s each
        (np.arange(360) / 30, np.arange(360) / 50, True),  # trimmed to one length
        (np.arange(360) / 30, np.arange(361) / 30, False),  # one row more
        (np.arange(12) / 10, np.arange(12) / 9.7, False),  # a rate that is rounded
    ],
)
def test_spans_that_contradict(seconds: np.ndarray, other: np.ndarray, spans: bool) -> None:
    assert any(contradiction(seconds, other)) == spans


def test_clocks_are_one_since_1970_or_if_they_end_together() -> None:
    log, video = 1.7e9 + np.arange(100) / 50, np.arange(600) / 10
    assert one_clock(log, log + 0.3) and one_clock(log, log + 3600)
    assert not one_clock(log, np.arange(100) / 50)
    assert one_clock(video, 2 + np.arange(580) / 10)  # begun 2 s after the video
    assert one_clock(video, -2 + np.arange(620) / 10)
    assert not one_clock(video, 705 + np.arange(600) / 10)  # since the robot was switched on
    assert not one_clock(video, np.arange(600) / 50)


def test_the_usual_step_is_that_of_most_rows() -> None:
    assert step_of(np.array([0.0, 0.1, 0.2, 0.9])) == pytest.approx(0.1)
    assert step_of(np.zeros(1)) == 0
