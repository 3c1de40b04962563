import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from imported import imported
from origins import LENGTHS, demos, replay

from vip_offline.dataset.importers.formats.replay_buffer import ReplayBuffer
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def zipped(path: Path) -> Path:
    replay(path / "set.zarr")
    shutil.make_archive(str(path / "set.zarr"), "zip", path / "set.zarr")
    shutil.rmtree(path / "set.zarr")
    return path / "set.zarr.zip"


def test_an_archive_is_read_where_it_is(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    import_source(
        ReplayBuffer(path), tmp_path / "s.zarr", ImportOptions(key_map=("proprio=state",))
    )
    store = open_store(tmp_path / "s.zarr")
    expected = np.concatenate([episode.frames for episode in demos()])
    np.testing.assert_array_equal(store.frames("img", 0, 16), expected)
    assert {entry.name for entry in tmp_path.iterdir()} == {"set.zarr.zip", "s.zarr"}


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(VipOfflineError, match=r"set.zarr.zip: is no whole zip archive"):
        ReplayBuffer(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "data/../../x", "C:\\x"])
def test_an_archive_that_leads_out_of_itself(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(VipOfflineError, match="leads out of the archive"):
        ReplayBuffer(path)


def test_pictures_of_an_unknown_scale(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    root = zarr.open_group(tmp_path / "set.zarr", mode="r+")
    array = root["data/img"]
    assert isinstance(array, zarr.Array)
    array[6] = 0.5
    with pytest.raises(VipOfflineError, match=r"episode 1: data/img is float32 and, in row 1,"):
        import_source(ReplayBuffer(tmp_path / "set.zarr"), tmp_path / "s.zarr", ImportOptions())


def put(path: Path, name: str, values: Any) -> None:
    """Write an array of a buffer anew."""
    root = zarr.open_group(path, mode="r+")
    if name in root:
        del root[name]
    root.create_array(name, data=np.asarray(values))


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("meta/episode_ends", [5, 3, 16], r"episode_ends\[1\] is 3, before the one that precedes"),
        ("meta/episode_ends", [[5], [16]], r"episode_ends is int64 of shape \(2, 1\); it must be"),
        ("meta/episode_ends", [4.5, 16.0], "is float64 of shape .* a list of whole numbers"),
        (
            "data/action",
            np.zeros((15, 2), "f4"),
            r"data/action is not per row: .*\(15, 2\), .* 16",
        ),
        ("data/img", np.zeros((16, 32, 32, 3), "f4") + 0.5, "data/img is float32 and, in row 0,"),
        (
            "data/img",
            np.zeros((9, 32, 32, 3), "u1"),
            r"data/img is not per row: .*\(9, .* have 16",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, values: Any, part: str
) -> None:
    replay(tmp_path / "set.zarr")
    put(tmp_path / "set.zarr", name, values)
    with pytest.raises(VipOfflineError, match=part):
        ReplayBuffer(tmp_path / "set.zarr").catalogue()


@pytest.mark.parametrize(
    ("ends", "part"),
    [
        ([5, 5, 16], r"episode 1: meta/episode_ends\[1\] is 5, .* has no rows"),
        ([5, 12, 17], r"episode 2: meta/episode_ends\[2\] is 17, but data has 16 rows"),
    ],
)
def test_an_episode_without_rows_is_broken_and_the_others_are_read(
    tmp_path: Path, ends: list[int], part: str
) -> None:
    replay(tmp_path / "set.zarr")
    put(tmp_path / "set.zarr", "meta/episode_ends", ends)
    with pytest.raises(VipOfflineError, match=part):
        imported(tmp_path / "set.zarr", tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    assert len(imported(tmp_path / "set.zarr", tmp_path / "s.zarr", skip_broken=True)) == 2


LEFT_OUT: dict[str, tuple[str, Any, str]] = {
    "a matrix": ("data/K", np.eye(3), "its shape is (3, 3), the episodes have 16 rows"),
    "more than rows": ("data/all", np.zeros(20), "its shape is (20,), the episodes have 16 rows"),
    "one number": ("data/rate", np.array(3.0), "its shape is (), the"),
    "text": ("data/words", np.array(["a"] * 16), "is text"),
    "depth": ("data/top_depth", np.zeros((16, 32, 32), "u2"), "depth is no view"),
    "meta": ("meta/weather", np.zeros(3), "is not per row"),
    "another success": ("meta/success", np.ones(2), "has shape (2,); there are 3 episodes"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_cannot_be_a_column_is_left_out_by_name(tmp_path: Path, name: str) -> None:
    key, values, why = LEFT_OUT[name]
    replay(tmp_path / "set.zarr")
    put(tmp_path / "set.zarr", key, values)
    catalogue = ReplayBuffer(tmp_path / "set.zarr").catalogue()
    assert why in catalogue.left_out[key]
    assert key.removeprefix("data/") not in catalogue.columns
    assert len(imported(tmp_path / "set.zarr", tmp_path / "s.zarr")) == 3


def test_a_file_in_the_buffers_folder_is_named(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    (tmp_path / "set.zarr/calibration.json").write_text("{}")
    assert [*ReplayBuffer(tmp_path / "set.zarr").catalogue().left_out] == ["calibration.json"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_codec_that_is_not_installed_is_named(tmp_path: Path, zarr_format: int) -> None:
    path = tmp_path / "set.zarr"
    replay(path, zarr_format=zarr_format)
    put(path, "data/wrist", np.zeros((16, 32, 32, 3), "u1"))
    file = path / "data/wrist" / (".zarray" if zarr_format == 2 else "zarr.json")
    about = json.loads(file.read_text())
    if zarr_format == 2:
        about["compressor"] = {"id": "nobodys_codec"}
    else:
        about["codecs"] = [{"name": "nobodys_codec", "configuration": {}}]
    file.write_text(json.dumps(about))
    part = "is written with the codec 'nobodys_codec', which is none of those"
    assert part in ReplayBuffer(path).catalogue().left_out["data/wrist"]  # there is another camera
    shutil.rmtree(path / "data/img")
    with pytest.raises(VipOfflineError, match=part):
        ReplayBuffer(path).catalogue()


def test_an_array_that_lost_its_description_is_named(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    (tmp_path / "set.zarr/data/n_contacts/.zarray").unlink()
    (tmp_path / "set.zarr/data/n_contacts/.zattrs").unlink()
    left_out = ReplayBuffer(tmp_path / "set.zarr").catalogue().left_out
    assert "data/n_contacts cannot be opened" in left_out["data/n_contacts"]


def test_pictures_of_umi_are_read_with_imagecodecs(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    replay(tmp_path / "set.zarr")
    frames = np.concatenate([demo.frames for demo in demos()])
    code = (  # elsewhere, so that nothing has registered the codec here
        "import sys, numpy as np, zarr; from imagecodecs.numcodecs import Jpegxl, register_codecs;"
        "register_codecs(verbose=False); f = np.load(sys.argv[2]);"
        "a = zarr.open_group(sys.argv[1], mode='r+', zarr_format=2).create_array('data/img', "
        "shape=f.shape, dtype='u1', chunks=(1, *f.shape[1:]), compressors=Jpegxl(lossless=True), "
        "overwrite=True); a[:] = f"
    )
    np.save(tmp_path / "frames.npy", frames)
    files = [tmp_path / "set.zarr", tmp_path / "frames.npy"]
    subprocess.run([sys.executable, "-c", code, *files], check=True)
    assert "imagecodecs_jpegxl" in (tmp_path / "set.zarr/data/img/.zarray").read_text()
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr")
    np.testing.assert_array_equal(store.frames("img", 0, 16), frames)


def test_pictures_with_channels_first_are_the_same_pictures(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    frames = np.concatenate([demo.frames for demo in demos()])
    put(tmp_path / "set.zarr", "data/img", frames.transpose(0, 3, 1, 2))
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr")
    np.testing.assert_array_equal(store.frames("img", 0, 16), frames)


def test_groups_in_groups_and_an_archive_of_a_folder(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    frames = np.concatenate([demo.frames for demo in demos()])
    put(tmp_path / "set.zarr", "data/obs/top", frames)
    shutil.make_archive(str(tmp_path / "set.zarr"), "zip", tmp_path, "set.zarr")
    for path in (tmp_path / "set.zarr", tmp_path / "set.zarr.zip"):
        store = imported(path, tmp_path / f"{path.suffix}.s", cameras=("obs.top",))
        np.testing.assert_array_equal(store.frames("obs.top", 0, 16), frames)


def test_success_and_splits_of_episodes(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    put(tmp_path / "set.zarr", "meta/success", [True, False, True])
    put(tmp_path / "set.zarr", "meta/split_valid", [False, False, True])
    assert ReplayBuffer(tmp_path / "set.zarr").catalogue().splits == ("valid",)
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr")
    assert list(store.meta("success")) == [True, False, True]
    assert list(store.meta("split_valid")) == [False, False, True]


def test_lengths_in_place_of_ends(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    shutil.rmtree(tmp_path / "set.zarr/meta/episode_ends")
    put(tmp_path / "set.zarr", "meta/episode_lengths", LENGTHS)
    catalogue = ReplayBuffer(tmp_path / "set.zarr").catalogue()
    assert tuple(catalogue.lengths) == LENGTHS
    assert catalogue.notes == ("where episodes end is taken from meta/episode_lengths",)


def test_rows_behind_the_last_end_are_counted(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    put(tmp_path / "set.zarr", "meta/episode_ends", [5, 12])
    catalogue = ReplayBuffer(tmp_path / "set.zarr").catalogue()
    assert catalogue.notes == ("4 rows follow the last episode's end and are not read",)
    assert len(imported(tmp_path / "set.zarr", tmp_path / "s.zarr")) == 2


def test_what_is_no_buffer(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "x.zarr", mode="w").create_array("data/a", data=np.zeros(3))
    with pytest.raises(VipOfflineError, match=r"is no replay buffer.* It has: data/a"):
        ReplayBuffer(tmp_path / "x.zarr")


def test_one_array_is_no_buffer(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    with pytest.raises(VipOfflineError, match="is one array, no replay buffer"):
        ReplayBuffer(tmp_path / "set.zarr/data/img")


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    (tmp_path / "set.zarr/data/action/0.0").write_bytes(b"x")
    with pytest.raises(VipOfflineError, match=r"episode 0: data/action, rows 0 to 5: cannot be"):
        ReplayBuffer(tmp_path / "set.zarr").read(0, ["action"])


def test_damage_in_one_chunk_is_of_its_episodes_alone(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    (tmp_path / "set.zarr/data/action/1.0").write_bytes(b"x")  # rows 8 to 15
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr", skip_broken=True)
    assert store.texts("name") == ["0"]
