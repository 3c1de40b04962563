import numpy as np
import pytest

from vip_offline.dataset.tables.file_listing import ordered, stamps_of_names


@pytest.mark.parametrize(
    "names",
    [
        [f"frame_{i}.png" for i in range(12)],
        ["9.6.png", "10.1.png"],
        ["9.95.png", "10.png", "10.05.png", "10.1.png"],  # last zeros were dropped
        ["9.45.png", "9.5.png"],
        ["front_9.45.jpg", "front_9.5.jpg", "front_10.05.jpg"],
        ["frame-9.45.jpg", "frame-9.5.jpg"],  # no minus
        ["-1.5.png", "-0.5.png", "0.png", "1.png"],
        ["1.1.png", "1.2.png", "1.10.png"],  # 1.1 and 1.10 would be one number: counters
        ["9.95", "10.0", "10.05"],  # folders
        ["1700000000000000001.png", "1700000000000000002.png"],
        ["2.jpg", "10.png", "11.jpg"],
        ["a1b2.png", "a1b10.png", "a2b1.png"],
    ],
)
def test_frames_come_in_the_order_of_their_numbers(names: list[str]) -> None:
    assert ordered(names[::-1]) == names
    assert ordered(names[1:] + names[:1]) == names


def test_what_is_hidden_is_no_frame() -> None:
    assert ordered(["1.png", "._1.png", ".DS_Store", "0.png"]) == ["0.png", "1.png"]
    assert ordered([]) == []


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["9.95.png", "10.png", "10.05.png"], [9.95, 10, 10.05]),
        (
            ["1305031102.175304.png", "1305031102.211214.png"],
            [1305031102.175304, 1305031102.211214],
        ),
        (["1700000000000.jpg", "1700000000033.jpg"], [1700000000, 1700000000.033]),
        (["1700000000000000.jpg", "1700000000033000.jpg"], [1700000000, 1700000000.033]),
        (["1700000000000000000.jpg", "1700000000033000000.jpg"], [1700000000, 1700000000.033]),
        (["9.95", "10.0"], [9.95, 10]),
    ],
)
def test_names_that_are_times(names: list[str], seconds: list[float]) -> None:
    stamps = stamps_of_names(names)
    assert stamps is not None
    np.testing.assert_allclose(stamps, seconds, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["0.png", "1.png"],
        ["0001700.png", "0001701.png"],
        ["frame_1.5.png", "frame_1.6.png"],  # may be a version, a camera, anything
        ["1.1.png", "1.10.png"],  # one number
        ["1.5.png", "last.png"],
        ["1700000000000.jpg", "1.jpg"],
    ],
)
def test_names_that_are_no_times(names: list[str]) -> None:
    assert stamps_of_names(names) is None


def test_nanoseconds_without_leading_zeros_are_no_fractions() -> None:
    names = [f"1700000000.{row * 70_000_000 + 20_000_000}.png" for row in range(12)]
    assert ordered(sorted(names)) == names
    stamps = stamps_of_names(names)
    assert stamps is not None
    np.testing.assert_allclose(np.diff(stamps), 0.07, atol=1e-6)
