"""Files that were made to do harm: one line for each, and nothing of the machine touched.

Each is made, given to the program as a user would, and must end with exit code 2 and a message
that names the file, soon.
"""

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zarr
from hostile_zarr import NAMED, poisoned
from origins import folders, lerobot, minari, png, replay, robomimic

from vip_offline.cli import main

SECRET = b"what is private" * 20


@pytest.fixture(autouse=True)
def unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)  # as before 0.16.6


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[Any, str]:
    """Exit code and what was said."""
    monkeypatch.setattr("sys.argv", ["vip-offline", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    return end.value.code, captured.out + captured.err


def edited(file: Path, **changes: Any) -> None:
    """Change a description of JSON."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def in_place(file: Path, make: Callable[[Path], Any]) -> None:
    file.unlink()
    make(file)


def device(file: Path) -> None:
    file.symlink_to("/dev/zero")


# what is given to the program, and the name that the message must hold
Made = tuple[Path, str]


def zarr_pickle(at: Path) -> Made:
    poisoned(at / "set.zarr", at / "mark", array="action")
    return at / "set.zarr", "data/action"


def zarr_pickle_ends(at: Path) -> Made:
    poisoned(at / "set.zarr", at / "mark")
    shutil.move(at / "set.zarr/data/state", at / "set.zarr/meta/episode_lengths")
    shutil.rmtree(at / "set.zarr/meta/episode_ends")
    return at / "set.zarr", "meta/episode_lengths"


def zarr_pickle_zip(at: Path) -> Made:
    poisoned(at / "folder", at / "mark", array="action")
    return Path(shutil.make_archive(str(at / "set.zarr"), "zip", at / "folder")), "data/action"


def zarr_pickle_3(at: Path) -> Made:
    replay(at / "set.zarr", zarr_format=3)
    edited(at / "set.zarr/data/action/zarr.json", codecs=[{"name": "bytes"}, NAMED])
    return at / "set.zarr", "data/action"


def zarr_pickle_summed(at: Path) -> Made:
    poisoned(at / "set.zarr", at / "mark", array="action")
    about = json.loads((at / "set.zarr/data/action/.zarray").read_text())
    file = at / "set.zarr/.zmetadata"
    file.write_text(json.dumps({"metadata": {"data/action/.zarray": about}}))
    return at / "set.zarr", "data/action"


def zarr_absurd(at: Path) -> Made:
    replay(at / "set.zarr")
    edited(at / "set.zarr/meta/episode_ends/.zarray", shape=[10**12])
    return at / "set.zarr", "meta/episode_ends"


def zarr_absurd_rows(at: Path) -> Made:
    replay(at / "set.zarr")
    zarr.open_group(at / "set.zarr", mode="r+")["meta/episode_ends"][-1] = 10**12  # type: ignore[index]
    for name in ("img", "state", "action", "n_contacts"):
        file = at / f"set.zarr/data/{name}/.zarray"
        edited(file, shape=[10**12, *json.loads(file.read_text())["shape"][1:]])
    return at / "set.zarr", "set.zarr"


def zarr_deep(at: Path) -> Made:
    replay(at / "set.zarr")
    (at / "set.zarr/meta/episode_ends/.zarray").write_text("[" * 100_000)
    return at / "set.zarr", "meta/episode_ends"


def zarr_pipe(at: Path) -> Made:
    replay(at / "set.zarr")
    in_place(at / "set.zarr/meta/episode_ends/0", os.mkfifo)
    return at / "set.zarr", "meta/episode_ends/0"


def zarr_damaged_inside(at: Path) -> Made:
    replay(at / "set.zarr", zarr_format=3)
    (at / "set.zarr/meta/episode_ends/zarr.json").write_bytes(b"\xff\xfe{")
    return at / "set.zarr", "meta/episode_ends"


def zip_leads_out(at: Path) -> Made:
    replay(at / "folder")
    archive = Path(shutil.make_archive(str(at / "set.zarr"), "zip", at / "folder"))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../../mark", "x")
    return archive, "../../mark"


def zip_link(at: Path) -> Made:
    replay(at / "folder")
    (at / "folder/meta/episode_ends/0").unlink()
    archive = Path(shutil.make_archive(str(at / "set.zarr"), "zip", at / "folder"))
    link = zipfile.ZipInfo("meta/episode_ends/0")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, str(at / "secret"))
    return archive, "meta/episode_ends"


def zip_encrypted(at: Path) -> Made:
    replay(at / "folder")
    archive = Path(shutil.make_archive(str(at / "set.zarr"), "zip", at / "folder"))
    archive.write_bytes(marked_encrypted(archive.read_bytes()))
    return archive, "set.zarr.zip"


def marked_encrypted(content: bytes) -> bytes:
    """With the bit of encryption set in every entry."""
    data = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(mark, place + 4)
    return bytes(data)


def zip_device(at: Path) -> Made:
    device(at / "set.zarr.zip")
    return at / "set.zarr.zip", "set.zarr.zip: is a device"


def hdf5_storage(at: Path) -> Made:
    robomimic(at / "set.hdf5")
    with h5py.File(at / "set.hdf5", "r+") as file:
        for demo in file["data"].values():
            rows = len(demo["actions"])
            del demo["obs/object"]
            demo.create_dataset(
                "obs/object", (rows, 4), "u1", external=[(str(at / "secret"), 0, rows * 4)]
            )
    return at / "set.hdf5", "obs/object"


def hdf5_actions_linked(at: Path) -> Made:
    robomimic(at / "set.hdf5")
    robomimic(at / "other.hdf5")
    with h5py.File(at / "set.hdf5", "r+") as file:
        del file["data/demo_1/actions"]
        file["data/demo_1/actions"] = h5py.ExternalLink("other.hdf5", "/data/demo_1/actions")
    return at / "set.hdf5", "demo_1/actions"


def hdf5_data_linked(at: Path) -> Made:
    robomimic(at / "other.hdf5")
    with h5py.File(at / "set.hdf5", "w") as file:
        file["data"] = h5py.ExternalLink(str(at / "other.hdf5"), "/data")
    return at / "set.hdf5", "/data is a link"


def hdf5_mask_linked(at: Path) -> Made:
    robomimic(at / "set.hdf5")
    with h5py.File(at / "set.hdf5", "r+") as file:
        del file["mask"]
        file["mask"] = h5py.ExternalLink(str(at / "secret"), "/")
    return at / "set.hdf5", "/mask is a link"


def hdf5_virtual(at: Path) -> Made:
    robomimic(at / "set.hdf5")
    with h5py.File(at / "set.hdf5", "r+") as file:
        layout = h5py.VirtualLayout((5, 2), float)
        layout[:] = h5py.VirtualSource("other.hdf5", "/data/demo_0/actions", (5, 2))
        del file["data/demo_0/actions"]
        file.create_virtual_dataset("data/demo_0/actions", layout)
    return at / "set.hdf5", "demo_0/actions"


def hdf5_absurd(at: Path) -> Made:
    robomimic(at / "set.hdf5")
    with h5py.File(at / "set.hdf5", "r+") as file:
        demo = file["data/demo_0"]
        del demo["actions"], demo.attrs["num_samples"]
        demo.create_dataset("actions", (10**12, 2), float, chunks=(1000, 2))
    return at / "set.hdf5", "demo_0"


def hdf5_pipe(at: Path) -> Made:
    os.mkfifo(at / "set.hdf5")
    return at / "set.hdf5", "set.hdf5: is a FIFO"


def lerobot_count(at: Path) -> Made:
    lerobot(at / "set")
    edited(at / "set/meta/info.json", total_episodes=10**10)
    return at / "set", "info.json"


def lerobot_count_below(at: Path) -> Made:
    lerobot(at / "set")
    edited(at / "set/meta/info.json", total_episodes=9_999_999)
    return at / "set", "9999999 episodes"


def lerobot_leads_out(at: Path) -> Made:
    lerobot(at / "set")
    edited(at / "set/meta/info.json", data_path="../secret")
    return at / "set", "'../secret'"


def lerobot_video_leads_out(at: Path) -> Made:
    lerobot(at / "set", version="v2.1")
    edited(at / "set/meta/info.json", video_path=str(at / "secret"))
    return at / "set", "secret"


def lerobot_wide(at: Path) -> Made:
    lerobot(at / "set", version="v2.1")
    edited(at / "set/meta/info.json", data_path="{episode_index:0999999999d}.parquet")
    return at / "set", "info.json"


def lerobot_length(at: Path) -> Made:
    lerobot(at / "set", version="v2.1")
    file = at / "set/meta/episodes.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps(json.loads(lines[0]) | {"length": 10**12}), *lines[1:]]))
    return at / "set", "episode 0"


def lerobot_shape(at: Path) -> Made:
    lerobot(at / "set")
    file = at / "set/meta/info.json"
    features = json.loads(file.read_text())["features"]
    features["action"]["shape"] = [2**30, 2**30]
    edited(file, features=features)
    return at / "set", "action"


def lerobot_deep(at: Path) -> Made:
    lerobot(at / "set")
    (at / "set/meta/info.json").write_text('{"a":' * 200_000)
    return at / "set", "info.json"


def lerobot_device(at: Path) -> Made:
    lerobot(at / "set")
    in_place(at / "set/meta/info.json", device)
    return at / "set", "info.json: is a device"


def lerobot_pipe(at: Path) -> Made:
    lerobot(at / "set")
    for file in (at / "set").rglob("*.mp4"):
        in_place(file, os.mkfifo)
    return at / "set", ".mp4"


def lerobot_picture(at: Path) -> Made:
    lerobot(at / "set", pictures="image")
    (file,) = (at / "set/data").rglob("*.parquet")
    table = pyarrow.parquet.read_table(file)
    name = "observation.images.front"
    column = pyarrow.array([{"bytes": None, "path": str(at / "secret")}] * table.num_rows)
    place = table.column_names.index(name)
    table = table.set_column(place, name, column)
    pyarrow.parquet.write_table(table, file)
    return at / "set", "leads out"


def minari_environment(at: Path) -> Made:
    minari(at / "set")
    file = at / "set/data/metadata.json"
    about = json.loads(file.read_text())
    del about["action_space"]
    spec: dict[str, Any] = {
        "id": "M-v0",
        "entry_point": "os:mkdir",
        "kwargs": {"path": str(at / "mark")},
    }
    spec |= {"additional_wrappers": [], "vector_entry_point": None}
    file.write_text(json.dumps(about | {"env_spec": json.dumps(spec)}))
    return at / "set", "metadata.json"


def minari_count(at: Path) -> Made:
    minari(at / "set")
    edited(at / "set/data/metadata.json", total_episodes=10**10)
    return at / "set", "metadata.json"


def episode(at: Path) -> Path:
    folders(at / "set")
    return sorted((at / "set").iterdir())[0]


def csv_pipe(at: Path) -> Made:
    in_place(episode(at) / "log.csv", os.mkfifo)
    return at / "set", "log.csv: is a FIFO"


def csv_wide(at: Path) -> Made:
    (episode(at) / "log.csv").write_text("a,b\n1," + "9" * 200_000 + "\n")
    return at / "set", "log.csv"


def npz_device(at: Path) -> Made:
    in_place(episode(at) / "robot.npz", device)
    return at / "set", "robot.npz: is a device"


def npz_encrypted(at: Path) -> Made:
    file = episode(at) / "robot.npz"
    file.write_bytes(marked_encrypted(file.read_bytes()))
    return at / "set", "robot.npz"


def npz_absurd(at: Path) -> Made:
    file = episode(at) / "robot.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117)
    with zipfile.ZipFile(file, "w") as archive:
        array = b"\x93NUMPY\x01\x00" + len(header + b"\n").to_bytes(2, "little") + header + b"\n"
        archive.writestr("qpos.npy", array + bytes(80))
    return at / "set", "robot.npz: qpos: is said to hold 8e+12 bytes"


def npy_pickled(at: Path) -> Made:
    file = episode(at) / "robot.npz"
    file.write_bytes(b"\x80\x04cos\nmkdir\n(V" + str(at / "mark").encode() + b"\ntR.")
    return at / "set", "robot.npz"


def parquet_pipe(at: Path) -> Made:
    os.mkfifo(episode(at) / "more.parquet")
    return at / "set", "more.parquet: is a FIFO"


def json_deep(at: Path) -> Made:
    file = episode(at) / "log.csv"
    file.unlink()
    file.with_suffix(".jsonl").write_text("[" * 200_000)
    return at / "set", "log.jsonl"


def picture_wide(at: Path) -> Made:
    (episode(at) / "wrist/000.png").write_bytes(wide_png())
    return at / "set", "000.png"


def wide_png() -> bytes:
    """A small one whose header says 60,000 x 60,000 px."""
    import zlib

    data = png(np.zeros((8, 8, 3), np.uint8))
    side = (60_000).to_bytes(4, "big")
    header = b"IHDR" + side + side + data[24:29]
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


def picture_pipe(at: Path) -> Made:
    in_place(episode(at) / "wrist/000.png", os.mkfifo)
    return at / "set", "000.png: is a FIFO"


def video_playlist(at: Path) -> Made:
    folder = episode(at)
    shutil.copy(folder / "front.mp4", folder.parent / "private.bin")
    (folder / "front.mp4").write_text("ffconcat version 1.0\nfile ../private.bin\n")
    return at / "set", "front.mp4"


def video_pipe(at: Path) -> Made:
    in_place(episode(at) / "front.mp4", os.mkfifo)
    return at / "set", "front.mp4: is a FIFO"


def name_not_utf8(at: Path) -> Made:
    folder = episode(at)
    folder.rename(folder.with_name(os.fsdecode(b"pick-\xff")))
    return at / "set", "not UTF-8"


HOSTILE: tuple[Callable[[Path], Made], ...] = (
    *(zarr_pickle, zarr_pickle_ends, zarr_pickle_zip, zarr_pickle_3, zarr_pickle_summed),
    *(zarr_absurd, zarr_absurd_rows, zarr_deep, zarr_pipe, zarr_damaged_inside),
    *(zip_leads_out, zip_link, zip_encrypted, zip_device),
    *(hdf5_storage, hdf5_actions_linked, hdf5_data_linked, hdf5_mask_linked, hdf5_virtual),
    *(hdf5_absurd, hdf5_pipe),
    *(lerobot_count, lerobot_count_below, lerobot_leads_out, lerobot_video_leads_out),
    *(lerobot_wide, lerobot_length, lerobot_shape, lerobot_deep, lerobot_device, lerobot_pipe),
    *(lerobot_picture, minari_environment, minari_count),
    *(csv_pipe, csv_wide, npz_device, npz_encrypted, npz_absurd, npy_pickled, parquet_pipe),
    *(json_deep, picture_wide, picture_pipe, video_playlist, video_pipe, name_not_utf8),
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "secret").write_bytes(SECRET)
    yield tmp_path
    assert not (tmp_path / "mark").exists()
    for file in tmp_path.rglob("*"):
        if file.is_file() and not file.is_symlink() and file != tmp_path / "secret":
            assert SECRET not in file.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_it_is_refused_in_words(
    at: Path,
    make: Callable[[Path], Made],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, part = make(at)
    code, output = run(monkeypatch, capsys, "import", str(path), str(at / "store.zarr"))
    assert code == 2, output
    assert part in output and "Traceback" not in output
    assert not (at / "store.zarr").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("array", ["action", "state"])
@pytest.mark.parametrize(
    "command",
    [("import", "--dry-run"), ("inspect", "--check"), ("relabel", "--encoder", "pixels")],
    ids=lambda command: command[0],
)
def test_no_command_unpickles(
    at: Path,
    array: str,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = at / "set.zarr"
    poisoned(path, at / "mark", array)
    verb, *flags = command
    code, output = run(monkeypatch, capsys, verb, str(path), *flags)
    assert bool(code) == (array == "action"), output  # others are left out, and said
    words = " ".join(output.split())
    assert f"data/{array}" in words and "'pickle'" in words and "Traceback" not in output
    code, output = run(
        monkeypatch, capsys, "train", str(path), "--steps", "2", "--out", str(at / "p")
    )
    assert "Traceback" not in output


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [b"a" + b"=[" * 50_000, b"name = " + b"9" * 5_000, b"[train]\n" * 200_000, b"name = \xff"],
    ids=["deep", "huge number", "long", "not UTF-8"],
)
def test_a_recipe_is_refused_in_words(
    at: Path,
    text: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (at / "mine.toml").write_bytes(text)
    code, output = run(monkeypatch, capsys, "run", str(at / "mine.toml"))
    assert code == 2 and "mine.toml" in output and "Traceback" not in output, output
