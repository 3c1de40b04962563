import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from imported import imported
from origins import robomimic

from vip_offline.dataset.importers.base.guarded import GuardedSource
from vip_offline.dataset.importers.base.source import Catalogue, EpisodeColumns
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.media.video import write_video
from vip_offline.errors import VipOfflineError


class Failing:
    """A source that raises what it is given."""

    error: BaseException = OverflowError("Python int too large")

    def __init__(self, path: Path) -> None:
        self.path = path

    def catalogue(self) -> Catalogue:
        raise self.error

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        raise self.error

    def close(self) -> None:
        pass


def test_errors_of_libraries_name_file_and_episode() -> None:
    source = GuardedSource(Path("set"), Failing)
    with pytest.raises(VipOfflineError, match=r"^set: cannot be read \(OverflowError: Python int"):
        source.catalogue()
    with pytest.raises(VipOfflineError, match=r"^set, episode 3: cannot .*--skip-broken"):
        source.read(3, ["action"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), VipOfflineError("own")])
def test_an_interrupt_and_own_errors_pass(error: BaseException) -> None:
    class Other(Failing):
        pass

    Other.error = error
    with pytest.raises(type(error)) as info:
        GuardedSource(Path("set"), Other).read(0, [])
    assert info.value is error


def test_what_asks_for_too_much_memory_is_named() -> None:
    class Absurd(Failing):
        def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
            np.zeros(2**55)
            raise AssertionError

    with pytest.raises(VipOfflineError, match=r"^set, episode 3: needs more memory .*Unable to"):
        GuardedSource(Path("set"), Absurd).read(3, [])


def test_names_that_no_store_can_hold_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "set" / os.fsdecode(b"pick-\xff")
    folder.mkdir(parents=True)
    write_video(folder / "front.mp4", np.zeros((4, 32, 32, 3), np.uint8), 10)
    shutil.copytree(folder, folder.with_name("pick-2"))
    with pytest.raises(VipOfflineError, match=r"'pick-\\udcff' is a name that is not UTF-8"):
        open_source(tmp_path / "set").catalogue()


def test_a_file_that_cannot_be_opened_is_named() -> None:
    def make(path: Path) -> Failing:
        raise RecursionError("maximum depth")

    with pytest.raises(VipOfflineError, match=r"^set: cannot be read \(RecursionError"):
        GuardedSource(Path("set"), make)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (np.float64(3), "'obs/object' holds one value, not one per row"),
        (np.array([b"a"] * 7), r"'obs/object' is .* here, float64 in other episodes"),
        (np.zeros((7, 2)), r"'obs/object' has \(2,\) numbers per row here, \(3,\) in other"),
    ],
)
def test_an_episode_unlike_the_others_is_broken_alone(
    tmp_path: Path, values: Any, part: str
) -> None:
    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        del file["data/demo_1/obs/object"]
        file["data/demo_1/obs/object"] = values
    with pytest.raises(VipOfflineError, match=rf"episode 1: column {part}"):
        imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    assert len(imported(tmp_path / "set.hdf5", tmp_path / "s.zarr", skip_broken=True)) == 2
