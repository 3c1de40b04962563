from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from origins import FPS, demos, folders
from PIL import Image

from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

FIRST, SECOND = "pick é 0", "pick é 1"


def test_bare_videos_are_enough_to_relabel(tmp_path: Path) -> None:
    from vip_offline.options import RelabelOptions, TrainOptions
    from vip_offline.rewards.relabel import relabel
    from vip_offline.training.data.dataset import training_set

    for index, demo in enumerate(demos()):
        write_video(tmp_path / "clips" / f"{index}.mp4", demo.frames, FPS)
    import_source(FolderSource(tmp_path / "clips"), tmp_path / "s.zarr", ImportOptions())
    relabel(tmp_path / "s.zarr", RelabelOptions(encoder="pixels", goal=("last",)))
    store = open_store(tmp_path / "s.zarr")
    assert np.isfinite(store.label().reward).sum() == 16 - 3
    with pytest.raises(VipOfflineError, match="has no actions to learn from"):
        training_set(tmp_path / "s.zarr", TrainOptions())


def test_one_video_is_one_episode(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", demos()[1].frames, FPS)
    catalogue = FolderSource(tmp_path / "a.mp4").catalogue()
    assert (list(catalogue.lengths), catalogue.control_rate) == ([7], FPS)


def shorten(path: Path) -> None:
    np.savez(path / SECOND / "robot.npz", qpos=np.zeros((6, 3)), command=np.zeros((6, 2)))


def ragged(path: Path) -> None:
    with (path / SECOND / "log.csv").open("a") as file:
        file.write("1,2\n")


def other_size(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path / FIRST / "wrist/002.png")


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "lengths": (shorten, r"é 1: its parts differ in length \(front 7 frames, robot 6 rows"),
    "missing": (
        lambda p: (p / SECOND / "robot.npz").unlink(),
        r"é 0 has 'robot.qpos', .*é 1 has not",
    ),
    "ragged": (ragged, r"é 1.log.csv, line 9: has 2 cells, the first line names 3"),
    "no npz": (lambda p: (p / FIRST / "robot.npz").write_bytes(b"PK"), "robot.npz: cannot be read"),
    "no video": (lambda p: (p / FIRST / "front.mp4").write_bytes(b"x"), "is no video"),
    "picture": (lambda p: (p / FIRST / "wrist/001.png").write_bytes(b"x"), "001.png: is no pict"),
    "sizes": (other_size, r"002.png: is \(8, 8\) px, those before it \(32, 32\)"),
    "names": (
        lambda p: (p / FIRST / "robot.csv").write_text("a\n1\n"),
        "would both be called 'robot'",
    ),
    "pickle": (
        lambda p: np.savez(p / FIRST / "robot.npz", x=np.array([{}])),
        r"é 1 has 'robot.qpos', .*é 0 has not",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_folders_are_refused_by_name_and_leave_nothing(tmp_path: Path, name: str) -> None:
    spoil, part = BAD[name]
    folders(tmp_path / "set")
    spoil(tmp_path / "set")
    with pytest.raises(VipOfflineError, match=part):
        import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", ImportOptions())
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_a_table_that_one_episode_alone_has_is_left_out_by_name(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    np.savez(tmp_path / "set" / SECOND / "more.npz", x=np.zeros(7))
    done = import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", ImportOptions())
    assert done.left_out["more.x"] == "only 1 of 3 episodes have it"


def test_parquet_beside_a_video(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    demo = demos()[0]
    write_video(tmp_path / "set/a/cam.mp4", demo.frames, FPS)
    table = pyarrow.table({"action": list(demo.action), "word": ["x"] * 5})
    pyarrow.parquet.write_table(table, tmp_path / "set/a/log.parquet")
    import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", ImportOptions())
    np.testing.assert_array_equal(open_store(tmp_path / "s.zarr").data("action"), demo.action)


def test_a_broken_folder_is_left_out_if_asked(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    shorten(tmp_path / "set")
    options = ImportOptions(skip_broken=True)
    done = import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", options)
    assert done.episodes == 2 and "é 1: its parts differ" in done.broken[0]
