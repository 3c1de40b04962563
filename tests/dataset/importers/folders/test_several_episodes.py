from pathlib import Path
from typing import Any

import numpy as np
import pytest
from people_files import video

from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.folders.several_episodes import refuse_several
from vip_offline.dataset.importers.run import import_source
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

TERMINALS = np.zeros(24, bool)
TERMINALS[[11, 23]] = True
ACTION = np.zeros((24, 2))


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ({"episode": np.arange(24) // 12, "action": ACTION}, "episode has 2 values"),
        ({"episode_index": np.arange(24) // 8, "action": ACTION}, "episode_index has 3 values"),
        ({"action": ACTION, "episode_ends": np.array([12, 24])}, "episode_ends has 2 values"),
        ({"actions": ACTION, "terminals": TERMINALS}, "terminals ends 1 times before"),
        ({"action": np.zeros((2, 12, 2))}, r"action is \(2, 12, 2\)"),
    ],
)
def test_a_file_of_several_episodes_is_refused(
    tmp_path: Path, columns: dict[str, Any], part: str
) -> None:
    (tmp_path / "set/a").mkdir(parents=True)
    np.savez(tmp_path / "set/a/robot.npz", **columns)
    with pytest.raises(VipOfflineError, match=rf"robot.npz: {part}.* Write one file per episode"):
        import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", ImportOptions())


def test_one_episode_is_none_of_these(tmp_path: Path) -> None:
    done = np.arange(24) >= 20
    columns = {"episode": np.full(24, 3), "done": done, "episode_ends": np.array([24])}
    refuse_several(tmp_path / "robot.npz", {**columns, "action": ACTION})


@pytest.mark.parametrize("other", ["robot (1).csv", "backup/robot.csv"])
def test_of_two_tables_with_actions_one_is_named(tmp_path: Path, other: str) -> None:
    video(tmp_path / "set/ep_0/front.mp4")
    lines = "action_0,action_1\n" + "0,1\n" * 12
    for name in ("robot.csv", other):
        (tmp_path / "set/ep_0" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set/ep_0" / name).write_text(lines)
    catalogue = FolderSource(tmp_path / "set").catalogue()
    assert catalogue.keys.action == ("robot.action_0", "robot.action_1")
    assert any(f"from robot.csv, and not from {other}" in note for note in catalogue.notes)
