from pathlib import Path

import pytest

from vip_offline.dataset.importers.base.other_formats import hdf5_of_another_tool
from vip_offline.dataset.importers.registry import format_of
from vip_offline.errors import VipOfflineError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("set.bag", "This is a ROS recording"),
        ("set.MCAP", "This is a ROS recording"),
        ("set.pkl", "A pickle runs code"),
        ("set.tar", "Unpack it first"),
        ("set/1.0.0/features.json", "This is RLDS"),
        ("set/meta_data/info.json", "LeRobotDataset v1"),
    ],
)
def test_what_is_not_read_is_known_by_its_name(tmp_path: Path, name: str, part: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(VipOfflineError, match=part):
        format_of(tmp_path / name.split("/")[0])


@pytest.mark.parametrize("below", ["data/chunk-000", "videos", "../.."])
def test_a_folder_in_or_around_a_lerobot_data_set(tmp_path: Path, below: str) -> None:
    root = tmp_path / "hub/set"
    for name in ("meta/info.json", "data/chunk-000/episode_0.parquet", "videos/a.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    path = (root / below).resolve() if below != "../.." else root.parent
    with pytest.raises(VipOfflineError, match=r"LeRobot data set.* folder that holds meta/"):
        format_of(path)


def test_a_folder_of_hdf5_files(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"lift_{index}.hdf5").touch()
    with pytest.raises(VipOfflineError, match=r"2 HDF5 files. Give one file: .*lift_0.hdf5"):
        format_of(tmp_path)


@pytest.mark.parametrize("name", ["ep_0/front.mp4", "lift.hdf5"])
def test_pointers_of_git_lfs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    for path in (tmp_path, tmp_path / name):
        if path.is_file() or name.endswith(".mp4"):
            with pytest.raises(VipOfflineError, match=r"is a pointer of Git LFS.*git lfs pull"):
                format_of(path)


@pytest.mark.parametrize("name", ["ep.npz", "robot.csv"])
def test_a_table_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(VipOfflineError, match="Give the folder it lies in"):
        format_of(tmp_path / name)


def test_an_unknown_layout_is_not_guessed() -> None:
    assert hdf5_of_another_tool({"rgb", "depth"}) == ""
    assert "DROID" in hdf5_of_another_tool({"observation", "action", "misc"})
