import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.utils.size_limits import (
    EXPANSION,
    UNSTORED,
    read_description,
    require_episodes,
    require_pixels,
    require_stored,
)


def test_values_need_something_on_the_disk() -> None:
    require_stored("set", UNSTORED, [])
    require_stored("set", EXPANSION * 20_000, iter([10_000, 10_000]))
    with pytest.raises(VipOfflineError, match=r"^set: is said to hold 4e\+12 bytes, and 1e\+04 "):
        require_stored("set", 4 * 10**12, [5_000, 5_000])


def test_no_more_is_counted_than_it_takes() -> None:
    def sizes() -> Iterator[int]:
        yield UNSTORED
        raise AssertionError("asked for more")

    require_stored("set", 2 * UNSTORED, sizes())


def test_episodes_and_pixels_have_limits() -> None:
    require_episodes("set", 2_400_000)
    with pytest.raises(VipOfflineError, match=r"^set: is said to hold 1e\+10 episodes"):
        require_episodes("set", 10**10)
    require_pixels("a.png", 8192, 8192)
    with pytest.raises(VipOfflineError, match=r"^a.png: is 60000 x 2000 px"):
        require_pixels("a.png", 2000, 60_000)


def test_a_description_is_a_short_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfname")
    assert read_description(tmp_path / "a") == "name"
    with pytest.raises(VipOfflineError, match=r"a: is longer than 3 bytes"):
        read_description(tmp_path / "a", most=3)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(VipOfflineError, match=r"pipe: is a FIFO"):
        read_description(tmp_path / "pipe")
