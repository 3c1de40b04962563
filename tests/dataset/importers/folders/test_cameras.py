from collections.abc import Callable
from pathlib import Path

import pytest
from people_files import LENGTH, greys, pictures, robot, video

from vip_offline.dataset.importers.folders.cameras import cameras_of
from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.folders.layout import Part, layout
from vip_offline.dataset.importers.run import ImportResult, import_source
from vip_offline.dataset.store import Store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def imported(tmp_path: Path) -> tuple[Store, ImportResult]:
    robot(tmp_path / "set/ep_0")
    done = import_source(FolderSource(tmp_path / "set"), tmp_path / "s.zarr", ImportOptions())
    return open_store(tmp_path / "s.zarr"), done


@pytest.mark.parametrize(
    "name",
    [
        lambda camera, row: f"{camera}_{row:03d}.png",
        lambda camera, row: f"{row:03d}_{camera}.png",
        lambda camera, row: f"frame_{camera}_{row}.png",
    ],
)
def test_cameras_in_one_folder_are_told_apart(
    tmp_path: Path, name: Callable[[str, int], str]
) -> None:
    for camera in ("left", "right"):
        pictures(tmp_path / "set/ep_0", lambda row, camera=camera: name(camera, row))  # type: ignore[misc]
    store, _ = imported(tmp_path)
    assert store.cameras == ["left", "right"]
    assert all(greys(store.frames(c, 0, LENGTH)) == [*range(LENGTH)] for c in store.cameras)


def test_cameras_of_differing_number_are_refused_by_name(tmp_path: Path) -> None:
    for camera in ("left", "right"):
        pictures(tmp_path / "set/ep_0", lambda row, camera=camera: f"{camera}_{row}.png")  # type: ignore[misc]
    (tmp_path / "set/ep_0/right_7.png").unlink()
    with pytest.raises(VipOfflineError, match=r"2 kinds of names \(left 12, right 11\)"):
        imported(tmp_path)


def test_words_that_change_from_picture_to_picture_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "set/ep_0", lambda row: f"{row:03d}_{'open' if row < 6 else 'closed'}.png")
    with pytest.raises(VipOfflineError, match=r"2 kinds of names \(open 6, closed 6\)"):
        imported(tmp_path)


def test_pictures_of_several_episodes_in_one_folder_are_refused(tmp_path: Path) -> None:
    for index in range(2):
        pictures(tmp_path / "set/ep_0", lambda row, i=index: f"ep{i}_frame{row:03d}.png")  # type: ignore[misc]
    with pytest.raises(VipOfflineError, match=r"ep0_frame\d+.png and ep1_.* several episodes"):
        imported(tmp_path)


@pytest.mark.parametrize("where", ["beside a video", "beside folders", "in a series"])
def test_a_single_picture_is_no_camera(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "set/ep_0"
    if where == "beside a video":
        video(folder / "front.mp4")
    elif where == "beside folders":
        pictures(folder / "front", lambda row: f"{row}.png")
    else:
        pictures(folder, lambda row: f"frame_{row}.png")
    pictures(tmp_path / "more", lambda row: f"{row}.png")
    (tmp_path / "more/0.png").rename(folder / "goal.png")
    store, done = imported(tmp_path)
    assert store.rows == LENGTH and len(store.cameras) == 1
    assert "is a single picture" in done.left_out["goal.png"]


def test_a_file_per_picture_is_left_out_with_a_count(tmp_path: Path) -> None:
    pictures(tmp_path / "set/ep_0/front", lambda row: f"{row:03d}.png")
    for row in range(LENGTH):
        (tmp_path / f"set/ep_0/front/{row:03d}.json").write_text('{"box": [1, 2]}')
        (tmp_path / f"set/ep_0/front/{row:03d}.xml").write_text("<a/>")
    _, done = imported(tmp_path)
    assert done.left_out["front/*.json"] == "a file per picture (12): none is read"
    assert len([name for name in done.left_out if name.startswith("front/")]) == 2


@pytest.mark.parametrize("log", [True, False])
def test_folders_of_pictures_that_lie_deep_are_cameras(tmp_path: Path, log: bool) -> None:
    for camera in ("rgb/front", "rgb/wrist"):
        pictures(tmp_path / "set/ep_0/obs" / camera, lambda row: f"{row}.png")
    if log:
        robot(tmp_path / "set/ep_0")
    (files,) = layout(tmp_path / "set").episodes
    cameras = [part.name for part in files.parts if part.kind == "pictures"]
    assert (files.name, cameras) == ("ep_0", ["obs.rgb.front", "obs.rgb.wrist"])


def test_words_in_the_names_of_pictures_are_one_camera(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("start.png", "middle.png", "end.png")]
    assert cameras_of(tmp_path, "front", paths).parts == (Part("front", tmp_path, "pictures"),)
