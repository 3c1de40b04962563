from pathlib import Path

import av
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.report.figures.colors import PALETTE
from vip_offline.report.figures.films import FILM_HEIGHT, FILM_WIDTH, compose_film, write_film

T = 20


def video(height: int = 60, width: int = 90, frames: int = T) -> NDArray[np.uint8]:
    """Frames known by their grey level."""
    levels = np.linspace(20, 220, frames).astype(np.uint8)[:, None, None, None]
    return np.ascontiguousarray(np.broadcast_to(levels, (frames, height, width, 3)))


def marked(panel: NDArray[np.uint8], color: str) -> NDArray[np.int64]:
    """(N, 2) rows and columns of a colour at its full strength, below the legend."""
    target = np.round(255 * np.array(to_rgb(color)))
    below = np.arange(len(panel)) >= 24
    return np.argwhere((np.abs(panel - target).max(axis=2) <= 2) & below[:, None])


def test_an_mp4_of_video_and_curves(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "film.mp4"
    curves = {"lite0": np.linspace(1, 0, T), "$x_1$ 名前": np.linspace(1, 0.8, T)}
    write_film(path, video(), curves, 12.5)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate or 0) == 12.5
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == T
    assert shown[0].shape == (FILM_HEIGHT, 360 + FILM_WIDTH, 3)
    grey = [float(frame[50:150, 50:300].mean()) for frame in shown]
    np.testing.assert_allclose(grey, np.linspace(20, 220, T), atol=4)
    assert [path.name for path in path.parent.iterdir()] == ["film.mp4"]


def test_the_curve_grows_and_its_marker_goes_ahead() -> None:
    film = compose_film(video(), {"x": np.linspace(1, 0, T)})
    places = [marked(frame[:, 360:], PALETTE[0]) for frame in film]
    right = [place[:, 1].max() for place in places]
    low = [place[:, 0].max() for place in places]
    assert all(np.diff(right) > 0) and all(np.diff(low) > 0)
    counts = [len(place) for place in places]
    assert counts[-1] > counts[T // 2] > counts[0] > 20  # the marker alone
    steps = np.diff(right)
    assert steps.max() - steps.min() <= 1  # even in time


def test_the_marker_is_where_the_axes_have_the_value() -> None:
    level = np.full(T, 0.5)
    middle = np.mean(marked(compose_film(video(), {"x": level})[3][:, 360:], PALETTE[0]), axis=0)
    top, zero = (
        np.mean(
            marked(compose_film(video(), {"x": level * 2 * value})[0][:, 360:], PALETTE[0]), axis=0
        )
        for value in (1, 0)
    )
    assert middle[0] == pytest.approx((top[0] + zero[0]) / 2, abs=1.5)
    assert middle[1] > top[1]


def test_values_that_are_not_known_are_not_drawn() -> None:
    curve = np.linspace(1, 0, T)
    curve[5:] = np.nan
    film = compose_film(video(), {"x": curve, "none": np.full(T, np.nan)})
    at = [marked(frame[:, 360:], PALETTE[0])[:, 1].max() for frame in film]
    assert at[4] > at[3] and at[-1] < at[4]  # half a marker less
    assert not len(marked(film[-1][:, 360:], PALETTE[1]))


@pytest.mark.parametrize(("height", "width"), [(64, 91), (240, 320), (480, 33), (1, 1)])
def test_any_size_becomes_an_even_one(height: int, width: int) -> None:
    film = compose_film(video(height, width, 2), {"x": np.array([1.0, 0.5])})
    assert film.shape[1] == FILM_HEIGHT
    assert film.shape[2] % 2 == 0
    assert abs((film.shape[2] - FILM_WIDTH) / FILM_HEIGHT - width / height) < 0.01
    assert film.dtype == np.uint8


def test_one_frame_and_no_curve(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", video(frames=1), {"x": np.ones(1)}, 10)
    write_film(tmp_path / "b.mp4", video(frames=2), {}, 10)
    assert all((tmp_path / text).stat().st_size > 500 for text in ("a.mp4", "b.mp4"))


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"'x' has shape \(3,\), and there are 20 frames"):
        write_film(tmp_path / "a.mp4", video(), {"x": np.ones(3)}, 10)
    with pytest.raises(VipOfflineError, match="without frames"):
        write_film(tmp_path / "a.mp4", video(frames=0), {}, 10)
    assert not list(tmp_path.iterdir())
