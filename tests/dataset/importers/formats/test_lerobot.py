import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from imported import imported
from origins import FPS, LENGTHS, lerobot
from store_files import contents

from vip_offline.dataset.importers.formats.lerobot import LeRobot
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

CAMERA = "observation.images.front"
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = f"videos/{CAMERA}/chunk-000/file-000.mp4"


def edit_info(path: Path, **changes: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps(info | changes))


def edit_feature(path: Path, name: str, **changes: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    feature = info["features"][name] | changes
    info["features"][name] = {key: value for key, value in feature.items() if value is not None}
    (path / "meta/info.json").write_text(json.dumps(info))


def edit_column(file: Path, name: str, row: int, value: Any) -> None:
    table = pyarrow.parquet.read_table(file)
    values = table[name].to_pylist()
    values[row] = value
    column = pyarrow.array(values, type=table.schema.field(name).type)
    place = table.schema.get_field_index(name)
    pyarrow.parquet.write_table(table.set_column(place, name, column), file)


def drop_column(file: Path, name: str) -> None:
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(file).drop([name]), file)


def depth(path: Path) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    info["features"][CAMERA]["info"] = {"video.is_depth_map": True}
    (path / "meta/info.json").write_text(json.dumps(info))


def cut(path: Path) -> None:
    import av

    with av.open(str(path / VIDEO)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    from vip_offline.dataset.media.video import write_video

    write_video(path / VIDEO, np.stack(frames[:-3]), FPS)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no description": (lambda p: (p / "meta/info.json").write_text("{"), "info.json: cannot be"),
    "old version": (lambda p: edit_info(p, codebase_version="v1.6"), "'v1.6'; read here are v3.0"),
    "no frame rate": (lambda p: edit_info(p, fps=0), "fps is 0"),
    "fewer episodes": (lambda p: edit_info(p, total_episodes=4), "says 4 episodes.*has 3"),
    "no object": (lambda p: (p / "meta/info.json").write_text("[]"), "holds no JSON object"),
    "odd shape": (lambda p: edit_feature(p, "action", shape="two"), "'action' is .*'two'"),
    "no dtype": (lambda p: edit_feature(p, "action", dtype=None), "'action' is .* needs a dtype"),
    "odd template": (
        lambda p: edit_info(p, data_path="data/{nonsense}.parquet"),
        "data_path is 'data/{nonsense}.parquet', which cannot be filled with chunk_index",
    ),
    "no length": (
        lambda p: edit_column(p / EPISODES, "length", 1, None),
        "length of the 2. episode listed is None",
    ),
    "no place of a video": (
        lambda p: edit_column(p / EPISODES, f"videos/{CAMERA}/chunk_index", 1, None),
        "episode 1: its metadata has videos/.*/chunk_index None, so its file is not known",
    ),
    "no video path": (lambda p: edit_info(p, video_path=None), "has videos but no video_path"),
    "no rows": (
        lambda p: edit_column(p / EPISODES, "length", 1, 0),
        "episode 1: has 0 rows. Leave such episodes out",
    ),
    "Lance": (lambda p: shutil.rmtree(p / "meta/episodes"), "holds no parquet file"),
    "cut parquet": (lambda p: (p / DATA).write_bytes(b"PAR1xx"), "file-000.parquet: cannot be"),
    "no action": (lambda p: drop_column(p / DATA, "action"), "lacks the column 'action'"),
    "short video": (cut, r"episode 2.*row 1 of 4 needs the frame at 1.300 s.*ends at 1.200 s"),
    "no video": (lambda p: (p / VIDEO).unlink(), "episode 0: its video .* is not there"),
    "late stamp": (
        lambda p: edit_column(p / DATA, "timestamp", 6, 0.16),
        r"episode 1: timestamp of row 1 is 0.1600 s, 0.0600 s off",
    ),
    "rows missing": (
        lambda p: edit_column(p / EPISODES, "length", 1, 8),
        "episode 1: its metadata says 8 rows, .* has 7",
    ),
    "rows mixed up": (
        lambda p: edit_column(p / DATA, "frame_index", 3, 4),
        "episode 0: frame_index of row 3 is 4",
    ),
    "leads out": (
        lambda p: edit_info(p, data_path="../{chunk_index}/{file_index}.parquet"),
        "data_path is '../0/0.parquet', which leads out",
    ),
    "absolute": (
        lambda p: edit_info(p, video_path="/{video_key}/{chunk_index}/{file_index}.mp4"),
        "video_path is '/.*leads out",
    ),
    "wide": (
        lambda p: edit_column(p / DATA, "action", 0, [1.0]),
        r"episode 0: column 'action' holds 9 numbers in 5 rows; info.json says \(2,\) each",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_sets_are_refused_by_name_and_leave_nothing(tmp_path: Path, name: str) -> None:
    spoil, part = BAD[name]
    lerobot(tmp_path / "set")
    spoil(tmp_path / "set")
    with pytest.raises(VipOfflineError, match=part):
        import_source(LeRobot(tmp_path / "set"), tmp_path / "store.zarr", ImportOptions())
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_discrete_actions_are_refused(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    info["features"]["action"]["dtype"] = "int64"
    (tmp_path / "set/meta/info.json").write_text(json.dumps(info))
    with pytest.raises(VipOfflineError, match="discrete actions"):
        import_source(LeRobot(tmp_path / "set"), tmp_path / "store.zarr", ImportOptions())


def test_broken_episodes_are_left_out_if_asked(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    cut(tmp_path / "set")
    options = ImportOptions(skip_broken=True)
    done = import_source(LeRobot(tmp_path / "set"), tmp_path / "store.zarr", options)
    assert done.episodes == 2 and len(done.broken) == 1 and "episode 2" in done.broken[0]


def add_feature(path: Path, name: str, **feature: Any) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    info["features"][name] = feature
    (path / "meta/info.json").write_text(json.dumps(info))


def add_column(path: Path, name: str, values: Any) -> None:
    table = pyarrow.parquet.read_table(path / DATA)
    pyarrow.parquet.write_table(table.append_column(name, [values]), path / DATA)


def add_both(path: Path, name: str, dtype: str, shape: list[int], values: Any) -> None:
    add_feature(path, name, dtype=dtype, shape=shape)
    add_column(path, name, values)


TOP = "observation.images.top"
LEFT_OUT: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "text": (
        lambda p: add_both(p, "words", "string", [1], ["a"] * 16),
        "words",
        "is text",
    ),
    "depth by its mark": (depth, CAMERA, "depth is no view"),
    "depth by its name": (
        lambda p: add_feature(p, f"{TOP}_depth", dtype="video", shape=[32, 32, 3]),
        f"{TOP}_depth",
        "depth is no view",
    ),
    "only in info.json": (
        lambda p: add_feature(p, "torque", dtype="float32", shape=[2]),
        "torque",
        "lacks the column 'torque', which info.json lists",
    ),
    "only in the data": (
        lambda p: add_column(p, "torque", list(range(16))),
        "torque",
        "info.json does not describe it",
    ),
    "sound": (
        lambda p: add_both(p, "sound", "audio", [1], [1] * 16),
        "sound",
        "is audio, not numbers",
    ),
    "no numbers": (
        lambda p: add_both(p, "none", "float32", [0], [1] * 16),
        "none",
        "no number per row",
    ),
    "a file": (
        lambda p: (p / "calibration.json").write_text("{}"),
        "calibration.json",
        "is no part of a LeRobotDataset",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_cannot_be_a_column_is_left_out_by_name(tmp_path: Path, name: str) -> None:
    change, column, why = LEFT_OUT[name]
    lerobot(tmp_path / "set")
    change(tmp_path / "set")
    catalogue = LeRobot(tmp_path / "set").catalogue()
    assert column not in catalogue.columns and why in catalogue.left_out[column]
    assert len(imported(tmp_path / "set", tmp_path / "s.zarr")) == 3


def edit_episodes(path: Path, **columns: Any) -> None:
    """Change columns of the list of episodes; those that are None are dropped."""
    table = pyarrow.parquet.read_table(path / EPISODES).to_pydict()
    table |= columns
    columns = {name: values for name, values in table.items() if values is not None}
    pyarrow.parquet.write_table(pyarrow.table(columns), path / EPISODES)


def tasks_as_parquet(path: Path, index: str = "task") -> None:
    table = pyarrow.table({"task_index": [0, 1, 2], index: ["pick", "place", "push"]})
    pyarrow.parquet.write_table(table, path / "meta/tasks.parquet")


def tasks_as_lines(path: Path) -> None:
    rows = [{"task_index": 0, "task": "pick"}, {"task_index": 1, "task": "place"}]
    (path / "meta/tasks.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def test_a_task_that_is_one_sentence(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    edit_episodes(tmp_path / "set", tasks=["pick it up"] * 3)
    store = imported(tmp_path / "set", tmp_path / "s.zarr")
    assert store.texts("instruction") == ["pick it up"] * 3


@pytest.mark.parametrize(
    "write",
    [tasks_as_parquet, lambda p: tasks_as_parquet(p, "__index_level_0__"), tasks_as_lines],
    ids=["parquet", "without a name", "lines"],
)
def test_tasks_by_their_number_in_the_rows(tmp_path: Path, write: Callable[[Path], None]) -> None:
    lerobot(tmp_path / "set")
    write(tmp_path / "set")
    edit_episodes(tmp_path / "set", tasks=None)
    for row in (*range(5, 12), 14, 15):  # all of the second episode, the end of the third
        edit_column(tmp_path / "set" / DATA, "task_index", row, 1)
    store = imported(tmp_path / "set", tmp_path / "s.zarr")
    assert store.texts("instruction") == ["pick", "place", "pick; place"]


@pytest.mark.parametrize("named", [[0, 1, 7], [0, None, 1], [0.0, 1.0, 0.0]])
def test_rows_are_found_where_the_metadata_do_not_say(tmp_path: Path, named: list[Any]) -> None:
    lerobot(tmp_path / "set")
    table = pyarrow.parquet.read_table(tmp_path / "set" / DATA)
    (tmp_path / "set/data/chunk-001").mkdir()
    second = tmp_path / "set/data/chunk-001/file-004.parquet"
    pyarrow.parquet.write_table(table.slice(0, 5), tmp_path / "set" / DATA)
    pyarrow.parquet.write_table(table.slice(5), second)
    edit_episodes(tmp_path / "set", **{"data/file_index": named})
    (note,) = LeRobot(tmp_path / "set").catalogue().notes
    assert note.startswith("the metadata of 2 of 3 episodes, such as 1, names a data file without")
    store = imported(tmp_path / "set", tmp_path / "s.zarr")
    np.testing.assert_array_equal(
        store.data("action"), np.array(table["action"].to_pylist(), np.float32)
    )


def test_success_in_the_list_of_episodes(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    edit_episodes(tmp_path / "set", success=[True, False, None])
    source = LeRobot(tmp_path / "set")
    assert [source.read(index, ["action"]).success for index in range(3)] == [True, False, None]


def test_pictures_that_lie_beside_the_table(tmp_path: Path) -> None:
    made = lerobot(tmp_path / "set", pictures="image")
    table = pyarrow.parquet.read_table(tmp_path / "set" / DATA)
    names = [f"images/{row}.png" for row in range(16)]
    (tmp_path / "set/images").mkdir()
    for name, cell in zip(names, table[CAMERA].to_pylist(), strict=True):
        (tmp_path / "set" / name).write_bytes(cell["bytes"])
    place = table.schema.get_field_index(CAMERA)
    pyarrow.parquet.write_table(table.set_column(place, CAMERA, [names]), tmp_path / "set" / DATA)
    store = imported(tmp_path / "set", tmp_path / "s.zarr")
    np.testing.assert_array_equal(
        store.frames("front", 0, 16), np.concatenate([demo.frames for demo in made])
    )


def test_instructions_splits_and_success_are_kept(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    import_source(LeRobot(tmp_path / "set"), tmp_path / "store.zarr", ImportOptions())
    store = open_store(tmp_path / "store.zarr")
    assert store.texts("instruction") == ["pick é"] * len(LENGTHS)
    assert list(store.meta("split_valid")) == [False, False, True]
    succeeded = store.data("succeeded")
    assert [int(row) for row in np.flatnonzero(succeeded)] == [4, 11, 15]
    assert store.extra("force").shape == (16, 2, 2)


def test_both_layouts_make_the_same_store_but_for_where_frames_are(tmp_path: Path) -> None:
    stores = []
    for version in ("v3.0", "v2.1"):
        lerobot(tmp_path / version, version=version, pictures="image")
        import_source(LeRobot(tmp_path / version), tmp_path / f"{version}.zarr", ImportOptions())
        stores.append(contents(tmp_path / f"{version}.zarr"))
    differing = {key for key in stores[0] if stores[0][key] != stores[1].get(key)}
    assert differing == {"zarr.json"} and set(stores[0]) == set(stores[1])
