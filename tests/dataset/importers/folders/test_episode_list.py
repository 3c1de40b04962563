from pathlib import Path

import pytest
from people_files import csv_lines, robot, table, video

from vip_offline.dataset.importers.folders.episode_list import listed
from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

LIST = ["video,success,seconds,task", "clips/ep_0.mp4,1,1.2,push", "ep_1.mp4,0,1.3,pull"]


@pytest.mark.parametrize("kind", ["videos", "pairs", "folders"])
def test_a_list_says_what_it_says_of_each_episode(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "set"
    for index in range(2):
        if kind == "folders":
            robot(root / f"ep_{index}")
        video(root / (f"ep_{index}/front.mp4" if kind == "folders" else f"ep_{index}.mp4"))
        if kind == "pairs":
            table(root / f"ep_{index}.csv", csv_lines())
    lines = [line.replace(".mp4", "") for line in LIST] if kind == "folders" else LIST
    table(root / "labels.csv", lines)
    done = import_source(FolderSource(root), tmp_path / "s.zarr", ImportOptions())
    store = open_store(tmp_path / "s.zarr")
    assert len(store) == 2 and [*store.meta("success")] == [True, False]
    assert "names 2 of 2 episodes; taken of it: success, task" in done.left_out["labels.csv"]


def test_a_list_with_as_many_rows_as_frames_is_no_log(tmp_path: Path) -> None:
    for index in range(12):
        video(tmp_path / f"ep_{index}.mp4")
    lines = ["video;success", *(f"ep_{index}.mp4;{index % 2}" for index in range(12))]
    table(tmp_path / "labels.csv", lines)
    assert len(FolderSource(tmp_path).catalogue().lengths) == 12


def test_a_list_that_contradicts_an_episodes_own_file_is_refused(tmp_path: Path) -> None:
    for index in range(2):
        video(tmp_path / f"ep_{index}/front.mp4")
        robot(tmp_path / f"ep_{index}", success=False)
    table(tmp_path / "labels.csv", ["name,success", "ep_0,1", "ep_1,0"])
    with pytest.raises(VipOfflineError, match="success is False in its files and '1' in a list"):
        import_source(FolderSource(tmp_path), tmp_path / "s.zarr", ImportOptions())


def test_a_log_is_no_list(tmp_path: Path) -> None:
    table(tmp_path / "log.csv", csv_lines())
    table(tmp_path / "log2.csv", ["camera,x", "front,1", "front,2"])
    names = ["0.0", "front", "wrist"]
    assert not listed(tmp_path / "log.csv", names) and not listed(tmp_path / "log2.csv", names)
