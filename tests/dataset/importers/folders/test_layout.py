from pathlib import Path

import numpy as np
import pytest
from people_files import csv_lines, pictures, robot, table, video

from vip_offline.dataset.importers.folders.layout import FolderLayout, NoEpisode, layout


def named(divided: FolderLayout) -> dict[str, list[str]]:
    return {
        episode.name: sorted(part.name for part in episode.parts) for episode in divided.episodes
    }


def test_files_side_by_side(tmp_path: Path) -> None:
    for index in range(11):
        video(tmp_path / f"demo_{index}.mp4")
        video(tmp_path / f"demo_{index}_wrist.mp4")
        table(tmp_path / f"demo_{index}.csv", csv_lines())
    (tmp_path / "README.md").write_text("x")
    divided = layout(tmp_path)
    assert [*named(divided)] == [f"demo_{index}" for index in range(11)]
    assert named(divided)["demo_10"] == ["", "video", "wrist"]
    assert [*divided.left_out] == ["README.md"]


def test_folders_of_pictures_beside_their_tables(tmp_path: Path) -> None:
    for index in range(2):
        pictures(tmp_path / f"ep{index}", lambda row: f"{row}.png")
        table(tmp_path / f"ep{index}.csv", csv_lines())
    assert named(layout(tmp_path)) == {"ep0": ["", "video"], "ep1": ["", "video"]}


def test_a_file_without_its_pair_is_a_broken_episode(tmp_path: Path) -> None:
    for index in range(3):
        video(tmp_path / f"demo_{index}.mp4")
        table(tmp_path / f"demo_{index + 1}.csv", csv_lines())
    broken = {
        episode.name: episode.broken for episode in layout(tmp_path).episodes if episode.broken
    }
    assert "demo_0.mp4: has no table of its name" in broken["demo_0"]
    assert "demo_3.csv: has no video" in broken["demo_3"]


def test_a_table_that_lists_the_videos_is_left_out_by_name(tmp_path: Path) -> None:
    for index in range(3):
        video(tmp_path / f"clip_{index}.mp4")
    table(tmp_path / "labels.csv", ["name,good", "a,1", "b,0", "c,1"])
    divided = layout(tmp_path)
    assert len(divided.episodes) == 3 and "labels.csv" in divided.left_out


def test_a_video_beside_the_episodes_is_none(tmp_path: Path) -> None:
    for index in range(2):
        robot(tmp_path / f"ep{index}")
        video(tmp_path / f"ep{index}/front.mp4")
    video(tmp_path / "overview.mp4")
    divided = layout(tmp_path)
    assert named(divided) == {"ep0": ["front", "robot"], "ep1": ["front", "robot"]}
    assert "belongs to none" in divided.left_out["overview.mp4"]


@pytest.mark.parametrize("kind", ["videos", "pictures", "below"])
def test_one_episode_named_directly(tmp_path: Path, kind: str) -> None:
    robot(tmp_path)
    for camera in ("front", "wrist"):
        if kind == "pictures":
            pictures(tmp_path / camera, lambda row: f"{row}.png")
        elif kind == "videos":
            video(tmp_path / f"{camera}.mp4")
    if kind == "below":
        video(tmp_path / "front.mp4")
        pictures(tmp_path / "wrist", lambda row: f"{row}.png")
    assert named(layout(tmp_path)) == {tmp_path.name: ["front", "robot", "wrist"]}


def test_pictures_alone_are_one_episode(tmp_path: Path) -> None:
    pictures(tmp_path / "set", lambda row: f"{row}.png")
    assert named(layout(tmp_path / "set")) == {"set": ["pictures"]}


def test_tables_with_pictures_in_them_are_episodes(tmp_path: Path) -> None:
    for index in range(2):
        np.savez(tmp_path / f"ep{index}.npz", action=np.zeros((3, 2)))
    assert named(layout(tmp_path)) == {"ep0": [""], "ep1": [""]}


def test_episodes_below_other_folders(tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        for index in range(2):
            robot(tmp_path / day / "robot-a" / f"ep{index}")
            video(tmp_path / day / "robot-a" / f"ep{index}" / "cams/front.mp4")
    (tmp_path / "notes").mkdir()
    divided = layout(tmp_path)
    assert next(iter(named(divided))) == "monday/robot-a/ep0" and len(divided.episodes) == 4
    assert named(divided)["tuesday/robot-a/ep1"] == ["cams.front", "robot"]
    assert "notes/" in divided.left_out


def test_what_other_systems_leave_behind_is_passed_over(tmp_path: Path) -> None:
    robot(tmp_path / "ep0")
    for name in ("._robot.npz", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / "ep0" / name).write_bytes(b"\0\5\x16\7")
    divided = layout(tmp_path)
    assert named(divided) == {"ep0": ["robot"]} and not divided.episodes[0].left_out


def test_settings_and_notes_are_no_rows(tmp_path: Path) -> None:
    for index in range(2):
        pictures(tmp_path / f"ep{index}", lambda row: f"{row}.png")
        (tmp_path / f"ep{index}/notes.txt").write_text("picked the cup, 2 tries\nthen left\n")
    (tmp_path / "info.json").write_text('{"fps": 10}')
    divided = layout(tmp_path)
    assert named(divided) == {"ep0": ["pictures"], "ep1": ["pictures"]}
    assert divided.episodes[0].left_out == {"notes.txt": "holds no table"}
    assert "info.json" in divided.left_out


def test_rows_in_a_text_file_are(tmp_path: Path) -> None:
    video(tmp_path / "ep0/front.mp4")
    table(tmp_path / "ep0/log.txt", csv_lines(" "))
    assert named(layout(tmp_path)) == {"ep0": ["front", "log"]}


def test_a_folder_with_nothing_in_it_is_no_origin(tmp_path: Path) -> None:
    (tmp_path / "notes.txt.bak").write_text("x")
    with pytest.raises(NoEpisode, match="holds no episode"):
        layout(tmp_path)


def test_a_link_to_an_episode_is_none_of_its_own(tmp_path: Path) -> None:
    for index in range(2):
        video(tmp_path / f"ep_{index}/front.mp4")
    (tmp_path / "a_latest").symlink_to(tmp_path / "ep_1")
    divided = layout(tmp_path)
    assert [*named(divided)] == ["ep_0", "ep_1"]
    assert divided.left_out == {"a_latest": "is a link to ep_1"}


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_file_of_python_objects_is_left_out_for_that_reason(tmp_path: Path, suffix: str) -> None:
    video(tmp_path / "front.mp4")
    save = np.savez if suffix == "npz" else np.save
    save(tmp_path / f"robot.{suffix}", np.array([{"action": 1}]))
    why = layout(tmp_path).left_out[f"robot.{suffix}"]
    assert "Python objects: not opened" in why and "save them as numbers" in why


def test_a_folder_of_settings_beside_the_episodes_is_none(tmp_path: Path) -> None:
    for index in range(3):
        robot(tmp_path / f"ep_{index}")
        video(tmp_path / f"ep_{index}/front.mp4")
    (tmp_path / "ep_2/front.mp4").unlink()
    table(tmp_path / "calib/cam.json", ['{"fx": [1, 2, 3], "fy": [1, 2, 3]}'])
    divided = layout(tmp_path)
    assert [*named(divided)] == ["ep_0", "ep_1", "ep_2"]  # of which the last is refused by name
    assert "has no camera" in divided.left_out["calib/"]
