"""Real data sets with something wrong in them, and the findings that name it."""

import json
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from conftest import LENGTHS as FIXTURE
from conftest import brightness_episode
from origins import FPS, LENGTHS, SIZE, folders, lerobot, replay, robomimic
from store_files import overwrite, spoil_frame

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.labels import Label
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.dataset.validation.report import CHECK_FRAMES, DataReport, FindingGroup
from vip_offline.dataset.validation.run import check
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

VIDEO = "videos/observation.images.front/chunk-000/file-000.mp4"
TABLE = "data/chunk-000/file-000.parquet"


def only(checked: DataReport) -> FindingGroup:
    (group,) = checked.groups
    return group


def named(checked: DataReport) -> dict[str, tuple[str, int]]:
    return {group.kind: (group.severity, group.count) for group in checked.groups}


def edit_table(path: Path, change: Callable[[dict[str, list[object]]], None]) -> None:
    columns = pyarrow.parquet.read_table(path, partitioning=None).to_pydict()
    change(columns)
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def imported(tmp_path: Path) -> Path:
    """A store whose frames stay in the videos of a data set."""
    lerobot(tmp_path / "set")
    source = open_source(tmp_path / "set")
    import_source(source, tmp_path / "x.zarr", ImportOptions())
    source.close()
    return tmp_path / "x.zarr"


@pytest.mark.parametrize(
    ("make", "name"),
    [(lerobot, "x"), (robomimic, "x.hdf5"), (replay, "x.zarr"), (folders, "x")],
    ids=["lerobot", "robomimic", "replay", "folders"],
)
def test_what_is_right_is_said_to_be(
    make: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    make(path)
    frames: list[int] = []
    checked = check(path, on_start=frames.append, on_frames=frames.append)
    assert {group.severity for group in checked.groups} <= {"note"}
    assert not checked.wrong
    assert (checked.episodes, checked.rows) == (3, sum(LENGTHS))
    assert list(checked.lengths or ()) == [4, 5, 7]
    assert frames[0] == sum(frames[1:]) == sum(LENGTHS) * len(checked.cameras)
    for camera in checked.cameras.values():
        assert (camera.size, camera.frames) == ((SIZE, SIZE), sum(LENGTHS))
        assert (camera.repeated, camera.black) == (0, 0)


def test_the_metadata_say_another_rate(tmp_path: Path) -> None:
    made = lerobot(tmp_path)
    write_video(tmp_path / VIDEO, np.concatenate([demo.frames for demo in made]), FPS * 2)
    checked = check(tmp_path)
    assert named(checked)["frame-rate"] == ("wrong", 1)
    group = next(group for group in checked.groups if group.kind == "frame-rate")
    assert group.examples[0].value == "the metadata say 10 Hz, the video has 20"
    assert group.examples[0].file == VIDEO
    assert checked.cameras["front"].rate == pytest.approx(20)


def test_the_video_is_too_short(tmp_path: Path) -> None:
    made = lerobot(tmp_path)
    write_video(tmp_path / VIDEO, np.concatenate([demo.frames for demo in made])[:14], FPS)
    frames: list[int] = []
    checked = check(tmp_path, on_start=frames.append, on_frames=frames.append)
    assert frames[0] == sum(frames[1:]) == sum(LENGTHS)  # the bar comes to its end all the same
    assert checked.cameras["front"].frames == 14
    group = next(group for group in checked.groups if group.kind == "no-frame")
    assert group.severity == "wrong"
    assert group.examples[0].where == "episode 2, camera front"
    assert "row 2 needs 1.400 s: the video ends at 1.300 s (2 rows" in group.examples[0].value


def test_an_episode_that_cannot_be_read_does_not_end_the_check(tmp_path: Path) -> None:
    lerobot(tmp_path)

    def swap(columns: dict[str, list[object]]) -> None:
        columns["frame_index"][6] = 5

    edit_table(tmp_path / TABLE, swap)
    checked = check(tmp_path)
    group = only(checked)
    assert (group.kind, group.severity, group.count) == ("unreadable", "wrong", 1)
    assert "frame_index of row 1 is 5" in group.examples[0].value
    assert checked.cameras["front"].frames == LENGTHS[0] + LENGTHS[2]


def test_totals_that_contradict_the_episodes(tmp_path: Path) -> None:
    lerobot(tmp_path)
    info = json.loads((tmp_path / "meta/info.json").read_text())
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"total_frames": 99}))
    group = only(check(tmp_path))
    assert (group.kind, group.examples[0].file) == ("metadata", "meta/info.json")
    assert "99" in group.examples[0].value


def test_pictures_of_another_size_than_the_metadata_say(tmp_path: Path) -> None:
    lerobot(tmp_path)
    info = json.loads((tmp_path / "meta/info.json").read_text())
    info["features"]["observation.images.front"]["shape"] = [64, 48, 3]
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    group = only(check(tmp_path))
    assert (group.kind, group.count) == ("camera-size", 3)
    assert group.examples[0].value == "frames of 32x32 px, expected 64x48"


def test_numbers_frames_and_successes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    robomimic(path, (6, 6, 6, 6), solved=(0, 1))
    with h5py.File(path, "r+") as file:
        file["data/demo_0/actions"][2, 1] = np.nan
        file["data/demo_1/actions"][3, 0] = -4
        file["data/demo_1/obs/agentview_image"][...] = 77
        file["data/demo_2/obs/agentview_image"][...] = 0
        file["data/demo_3/obs/agentview_image"][2:5] = 90
        file["data/demo_3/obs/robot0_eef_pos"][1, 0] = np.inf
    checked = check(path)
    assert named(checked) == {
        "not-finite": ("wrong", 2),
        "frozen-camera": ("wrong", 1),
        "black-camera": ("wrong", 1),
        "action-range": ("note", 1),
        "repeated-frames": ("note", 1),
        "failure": ("note", 2),
        "left-out": ("note", 1),
    }
    assert [group.severity for group in checked.groups] == ["wrong"] * 3 + ["note"] * 4
    assert checked.successes == 2
    group = next(group for group in checked.groups if group.kind == "not-finite")
    assert [example.where for example in group.examples] == ["episode demo_0", "episode demo_3"]
    assert checked.actions is not None
    assert checked.actions.low[0] == -4
    assert checked.cameras["agentview"].black == 6


def test_a_camera_that_hung_for_longer_than_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    robomimic(path, (CHECK_FRAMES + 8, 4))
    with h5py.File(path, "r+") as file:
        file["data/demo_0/obs/agentview_image"][...] = 77
    checked = check(path)
    assert named(checked)["frozen-camera"] == ("wrong", 1)
    camera = checked.cameras["agentview"]
    assert (camera.frames, camera.repeated) == (CHECK_FRAMES + 12, CHECK_FRAMES + 7)


def test_success_as_the_rows_say(tmp_path: Path) -> None:
    lerobot(tmp_path)

    def fail(columns: dict[str, list[object]]) -> None:
        columns["next.success"][LENGTHS[0] - 1] = False

    edit_table(tmp_path / TABLE, fail)
    checked = check(tmp_path)
    assert (named(checked), checked.successes) == ({"failure": ("note", 1)}, 2)
    assert only(checked).examples[0].where == "episode 0"


def test_a_description_that_contradicts_itself_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    robomimic(path)
    with h5py.File(path, "r+") as file:
        file["data/demo_1"].attrs["num_samples"] = 99
        file["data/demo_2/actions"][0, 0] = np.nan  # the check goes on behind it
    groups = {group.kind: group for group in check(path).groups}
    assert len(groups) > 1
    group = groups["unreadable"]
    assert (group.kind, group.severity) == ("unreadable", "wrong")
    assert "num_samples says 99" in group.examples[0].value


def test_clocks_that_stand_in_tables(tmp_path: Path) -> None:
    folders(tmp_path, (6, 6))
    for index, times in enumerate(([0, 1, 2, 5, 6, 7], [0, 2, 1, 3, 4, 5])):
        text = "\n".join(["time", *(str(time / 14) for time in times)])
        (tmp_path / f"pick é {index}" / "clock.csv").write_text(text)
    kinds = named(check(tmp_path))
    assert kinds["gap"] == ("note", 1)
    assert kinds["time-goes-back"] == ("wrong", 1)


def test_a_thousand_bad_episodes_are_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    robomimic(path, (2,) * 60)
    with h5py.File(path, "r+") as file:
        for index in range(60):
            file[f"data/demo_{index}/actions"][0, 0] = np.nan
    group = next(group for group in check(path).groups if group.kind == "not-finite")
    assert group.count == 60
    assert [example.where for example in group.examples] == [f"episode demo_{n}" for n in range(3)]


def test_a_store_that_was_recorded(make_store: Callable[..., Path]) -> None:
    checked = check(make_store())
    assert checked.format == "store (recorded)"
    assert named(checked) == {"black-camera": ("wrong", 1), "failure": ("note", 1)} | {
        "black-frames": ("note", 2)  # the fixture's frames begin at black
    }
    assert checked.successes == 2


def test_frames_that_are_not_those_that_were_stored(make_store: Callable[..., Path]) -> None:
    path = make_store()
    overwrite(path, "data/frames_front", 7, 55)
    overwrite(path, "data/action", 8, 2.5)
    spoil_frame(path, "front", 13)
    checked = check(path)
    groups = {group.kind: group for group in checked.groups}
    assert groups["frames-changed"].examples[0].where == "episode 1, camera front"
    assert groups["unreadable"].examples[0].where == "episode 2, camera front"
    assert groups["unreadable"].count == 1
    assert groups["action-range"].examples[0].where == "episode 1"


def test_numbers_that_cannot_be_read_do_not_end_the_check(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create={}) as store:
        # two to a chunk and one across: they are read together
        store.append(*(replace(e, frames={}) for e in (brightness_episode(4100, True, 0),) * 5))
    assert "unreadable" not in named(check(path))
    overwrite(path, "data/action", 20499, 3)
    (path / "data/action/c.0.0").write_bytes(b"no")
    groups = {group.kind: group for group in check(path).groups}
    assert groups["unreadable"].count == 4  # a damaged chunk takes those read with it
    assert "data/action" in groups["unreadable"].examples[0].value
    assert groups["action-range"].examples[0].where == "episode 4"


def test_a_recording_that_stopped(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create={"episodes_planned": 4}) as store:
        store.append(brightness_episode(5, True, 0))
    groups = {group.kind: group for group in check(path).groups}
    assert groups["unfinished"].severity == "wrong"
    with writing(tmp_path / "y.zarr", create={"episodes_planned": 4}):
        pass
    assert check(tmp_path / "y.zarr").wrong


def test_a_label_with_a_hole(store_path: Path) -> None:
    rows = sum(FIXTURE)
    reward = np.zeros(rows, np.float32)
    reward[np.cumsum(FIXTURE) - 1] = np.nan
    with writing(store_path) as store:
        store.write_label(Label("own", reward, np.zeros(rows, np.float32), None, {}))
    assert "label" not in named(check(store_path))
    overwrite(store_path, "labels/own/reward", 2, float("nan"))
    group = next(group for group in check(store_path).groups if group.kind == "label")
    assert group.examples[0].value == "the reward of row 2 is missing (1 in all)"
    overwrite(store_path, "labels/own/done", 1, 0)
    group = next(group for group in check(store_path).groups if group.kind == "label")
    assert "covers 2 of 3 episodes" in group.examples[0].value


def test_videos_that_changed_since_they_were_imported(tmp_path: Path) -> None:
    path = imported(tmp_path)
    checked = check(path)
    assert checked.groups == ()
    assert checked.cameras["front"].rate == pytest.approx(FPS)
    assert checked.cameras["front"].frames == sum(LENGTHS)
    video = tmp_path / "set" / VIDEO
    size = video.stat().st_size
    with video.open("ab") as file:
        file.write(b"\0" * 8)
    group = only(check(path))
    assert (group.kind, group.severity, group.count) == ("video-changed", "wrong", 3)
    assert group.examples[0].value == f"{size + 8} bytes, {size} when it was imported"
    assert group.examples[0].file == VIDEO
    video.unlink()
    assert only(check(path)).examples[0].value == "the video is gone"


def test_a_store_that_was_moved_with_its_videos(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    imported(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    checked = check(tmp_path / "new/x.zarr")
    assert checked.groups == () and checked.cameras["front"].frames == sum(LENGTHS)


def test_a_video_of_the_same_size_with_other_pictures(tmp_path: Path) -> None:
    path = imported(tmp_path)
    stored = open_store(path).content("front").copy()
    stored[1, 0] ^= 1
    overwrite(path, "meta/content_front", 1, stored[1])
    group = only(check(path))
    assert (group.kind, group.count) == ("video-changed", 1)
    assert "its pictures are others" in group.examples[0].value


def test_episodes_that_begin_idle_are_one_finding_with_the_longest_first(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    robomimic(path, (40, 40, 40, 40))
    with h5py.File(path, "r+") as file:
        for index, waits in enumerate((0, 15, 25, 2)):
            place = np.linspace(0, 0.4, 40 - waits)
            state = np.concatenate([np.zeros(waits), place])[:, None].repeat(3, axis=1)
            for name, values in file[f"data/demo_{index}/obs"].items():
                if not name.endswith("image"):
                    values[...] = 0
            file[f"data/demo_{index}/obs/robot0_eef_pos"][...] = state
            file[f"data/demo_{index}/actions"][...] = state[:, :1]
    group = next(group for group in check(path).groups if group.kind == "idle-start")
    assert (group.severity, group.count) == ("note", 2)
    assert [example.where for example in group.examples] == ["episode demo_2", "episode demo_1"]
    assert re.match(r"about 2[3-7] of 40 rows at its start", group.examples[0].value)
    assert "idle-end" not in named(check(path))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="there is nothing"):
        check(tmp_path / "nowhere")
    (tmp_path / "x.hdf5").write_bytes(b"no")
    with pytest.raises(VipOfflineError, match="no HDF5"):
        check(tmp_path / "x.hdf5")


def test_memory_does_not_grow_with_the_number_of_episodes(tmp_path: Path) -> None:
    episode = brightness_episode(24, True, 0)
    frames = np.random.default_rng(0).integers(0, 255, (24, 96, 96, 3), np.uint8)
    episode = replace(episode, frames={"front": frames})
    peaks = []
    for episodes in (2, 8):
        path = tmp_path / f"{episodes}.zarr"
        with writing(path, create={}) as store:
            for _ in range(episodes):
                store.append(episode)
        check(path)  # once without: what is imported and cached does not count
        tracemalloc.start()
        check(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + frames.nbytes  # six more episodes


def test_an_outlier_among_the_actions_is_named(make_store: Callable[..., Path]) -> None:
    path = make_store(lengths=(40, 40, 40))
    overwrite(path, "data/action", 50, [1000.0, 0, 0, 0])
    checked = check(path)
    (group,) = [group for group in checked.groups if group.kind == "outlier"]
    assert (group.severity, group.count) == ("note", 1)
    assert group.examples[0].where == "episode 1"
    assert group.examples[0].value.startswith("action[10, 0] is 1000; the rest of dimension 0 ")
