from pathlib import Path

import pytest
from people_files import csv_lines, pictures, table, video

from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.folders.layout import layout
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def write(root: Path, *names: str) -> Path:
    """Videos of ``x.mp4``, tables of ``x.csv``, folders of pictures of ``x/``."""
    for name in names:
        if name.endswith(".mp4"):
            video(root / name, length=3)
        elif name.endswith("/"):
            pictures(root / name, lambda row: f"{row}.png")
        else:
            table(root / name, csv_lines(rows=3))
    return root


def parts(root: Path) -> dict[str, list[str]]:
    return {
        episode.name: sorted(f"{part.name}:{part.path.relative_to(root)}" for part in episode.parts)
        for episode in layout(root).episodes
    }


SIDE_BY_SIDE: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "other words": (
        [f"{kind}_{i}.{end}" for i in (0, 1) for kind, end in (("video", "mp4"), ("robot", "csv"))],
        {
            "0": [":robot_0.csv", "video:video_0.mp4"],
            "1": [":robot_1.csv", "video:video_1.mp4"],
        },
    ),
    "cameras": (
        [
            f"ep_{i}_{rest}"
            for i in (0, 1)
            for rest in ("cam_front.mp4", "cam1.mp4", "actions.csv", "joints.csv")
        ],
        {
            f"ep_{i}": [
                f"actions:ep_{i}_actions.csv",
                f"cam1:ep_{i}_cam1.mp4",
                f"cam_front:ep_{i}_cam_front.mp4",
                f"joints:ep_{i}_joints.csv",
            ]
            for i in (0, 1)
        },
    ),
    "numbers after a camera's name": (
        [f"{kind}_{i}.{end}" for i in (0, 1) for kind, end in (("left", "mp4"), ("log", "csv"))],
        {str(i): [f":log_{i}.csv", f"left:left_{i}.mp4"] for i in (0, 1)},
    ),
    "no tables": (
        [f"ep_{i}_{camera}.mp4" for i in (0, 1) for camera in ("front", "wrist")],
        {f"ep_{i}": [f"{c}:ep_{i}_{c}.mp4" for c in ("front", "wrist")] for i in (0, 1)},
    ),
    "cameras alone": (
        [f"{camera}_{i}.mp4" for i in (0, 1) for camera in ("front", "wrist")],
        {str(i): [f"{c}:{c}_{i}.mp4" for c in ("front", "wrist")] for i in (0, 1)},
    ),
    "padding": (
        ["ep_000.mp4", "ep_010.mp4", "ep_0.csv", "ep_10.csv"],
        {
            "ep_0": [":ep_0.csv", "video:ep_000.mp4"],
            "ep_10": [":ep_10.csv", "video:ep_010.mp4"],
        },
    ),
    "capitals": (
        ["Ep_0.mp4", "Ep_1.mp4", "ep_0.csv", "ep_1.csv"],
        {f"ep_{i}": [f":ep_{i}.csv", f"video:Ep_{i}.mp4"] for i in (0, 1)},
    ),
}


@pytest.mark.parametrize("kind", SIDE_BY_SIDE)
def test_files_of_one_number_are_an_episode(tmp_path: Path, kind: str) -> None:
    names, expected = SIDE_BY_SIDE[kind]
    assert parts(write(tmp_path, *names)) == expected


def test_what_has_no_pair_of_its_number_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "video_0.mp4", "video_1.mp4", "robot_0.csv", "robot_2.csv")
    broken = {episode.name: episode.broken for episode in layout(tmp_path).episodes}
    assert "video_1.mp4: has no table of its number" in broken["video_1"]
    assert "robot_2.csv: has no video" in broken["robot_2"] and not broken["0"]


@pytest.mark.parametrize(
    "names",
    [
        ["video_0.mp4", "video_1.mp4", "robot.csv"],
        ["front.mp4", "robot_0.csv", "robot_1.csv"],
        ["ep_0/", "ep_1/", "robot.csv"],
        ["mon/video_0.mp4", "mon/video_1.mp4", "mon/robot.csv"],
    ],
)
def test_one_episode_is_not_made_of_what_may_be_several(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(VipOfflineError, match=r"_0 and \w+_1 differ only in a number"):
        layout(write(tmp_path / "set", *names))


def test_numbered_cameras_are_one_episode(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "cam_0.mp4", "cam_1.mp4", "robot.csv")
    assert [*parts(root)] == ["set"] and len(layout(root).episodes[0].parts) == 3
    root = write(tmp_path / "more/ep_3", "0.mp4", "1.mp4", "robot.csv")
    assert [*parts(root)] == ["ep_3"] and [*parts(root.parent)] == ["ep_3"]


GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "days": (
        ["mon/ep_0/", "mon/ep_1/", "tue/ep_0/"],
        ["mon/ep_0", "mon/ep_1", "tue/ep_0"],
    ),
    "one in each": (["push/clip0/", "pull/clip0/"], ["pull/clip0", "push/clip0"]),
    "splits": (
        ["train/a.mp4", "train/b.mp4", "val/a.mp4", "val/b.mp4"],
        ["train/a", "train/b", "val/a", "val/b"],
    ),
    "outcomes": (
        ["success/demo_0.mp4", "success/demo_1.mp4", "failure/demo_0.mp4", "failure/demo_1.mp4"],
        ["failure/demo_0", "failure/demo_1", "success/demo_0", "success/demo_1"],
    ),
    "pairs": (
        ["mon/ep_0.mp4", "mon/ep_0.csv", "mon/ep_1.mp4", "mon/ep_1.csv"],
        ["mon/ep_0", "mon/ep_1"],
    ),
    "numbered days": (["day_1/ep_0/", "day_1/ep_1/"], ["day_1/ep_0", "day_1/ep_1"]),
    "videos alone": (["videos/ep_0.mp4", "videos/ep_1.mp4"], ["videos/ep_0", "videos/ep_1"]),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_numbered_names_below_a_folder_are_episodes(tmp_path: Path, kind: str) -> None:
    names, expected = GROUPS[kind]
    assert [*parts(write(tmp_path, *names))] == expected


def test_words_below_folders_are_cameras_and_a_guess_is_said(tmp_path: Path) -> None:
    root = write(tmp_path / "a", "ep_0/cam0/", "ep_0/cam1/", "ep_1/front/", "ep_1/wrist/")
    assert [*parts(root)] == ["ep_0", "ep_1"] and not layout(root).notes
    root = write(tmp_path / "c", "pick-1/0.mp4", "pick-1/1.mp4")
    assert [*parts(root)] == ["pick-1/0", "pick-1/1"]
    assert "pick-1: 0, 1 are taken as episodes, by their names" in layout(root).notes[0]
    root = write(tmp_path / "b", "x/a.mp4", "x/b.mp4")
    assert [*parts(root)] == ["x"]
    assert "x: a, b are taken as 2 cameras of one episode" in layout(root).notes[0]


ACROSS: dict[str, tuple[list[str], list[str]]] = {
    "cameras": (
        ["front/ep_{}.mp4", "wrist/ep_{}.mp4"],
        ["front:front/ep_{}.mp4", "wrist:wrist/ep_{}.mp4"],
    ),
    "cameras and tables beside": (
        ["front/ep_{}.mp4", "wrist/ep_{}.mp4", "ep_{}.csv"],
        [":ep_{}.csv", "front:front/ep_{}.mp4", "wrist:wrist/ep_{}.mp4"],
    ),
    "tables beside": (["videos/ep_{}.mp4", "ep_{}.csv"], [":ep_{}.csv", "videos:videos/ep_{}.mp4"]),
    "kinds": (
        ["videos/ep_{}.mp4", "actions/ep_{}.csv"],
        [":actions/ep_{}.csv", "videos:videos/ep_{}.mp4"],
    ),
    "pictures": (
        ["images/ep_{}/", "actions/ep_{}.csv"],
        [":actions/ep_{}.csv", "images:images/ep_{}"],
    ),
    "deeper": (
        ["videos/front/ep_{}.mp4", "videos/wrist/ep_{}.mp4", "logs/ep_{}.csv"],
        [
            ":logs/ep_{}.csv",
            "videos.front:videos/front/ep_{}.mp4",
            "videos.wrist:videos/wrist/ep_{}.mp4",
        ],
    ),
}


@pytest.mark.parametrize("kind", ACROSS)
def test_a_folder_per_camera_or_kind(tmp_path: Path, kind: str) -> None:
    names, expected = ACROSS[kind]
    write(tmp_path, *(name.format(i) for name in names for i in (0, 1)))
    assert parts(tmp_path) == {f"ep_{i}": [part.format(i) for part in expected] for i in (0, 1)}


def test_an_episode_of_which_a_camera_is_missing_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "set", *(f"front/ep_{i}.mp4" for i in range(3)))
    write(root, "wrist/ep_0.mp4", "wrist/ep_2.mp4")
    with pytest.raises(VipOfflineError, match=r"ep_0 has 'wrist', .*ep_1 has not"):
        import_source(FolderSource(root), tmp_path / "s.zarr", ImportOptions())
    done = import_source(FolderSource(root), tmp_path / "s.zarr", ImportOptions(skip_broken=True))
    assert done.episodes == 2 and open_store(tmp_path / "s.zarr").cameras == ["front", "wrist"]


def test_a_set_of_which_no_episode_is_whole_is_refused_by_name(tmp_path: Path) -> None:
    root = write(tmp_path / "set", "a/front.mp4", "b/robot.csv")
    with pytest.raises(VipOfflineError, match="Every episode needs the same files"):
        import_source(FolderSource(root), tmp_path / "s.zarr", ImportOptions())
