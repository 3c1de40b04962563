import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM
from hypothesis import given, settings
from hypothesis import strategies as st
from origins import LENGTHS, SIZE, demos, folders, force, lerobot, replay, robomimic
from store_files import contents

from vip_offline.data.episode import Episode
from vip_offline.data.importing import ImportOptions, batches, import_source, key_map, stored_as
from vip_offline.data.sources.recognise import open_source
from vip_offline.data.store import Store, open_store
from vip_offline.errors import VipOfflineError

FRONT = "front"


def imported(source: Path, store: Path, **options: object) -> Store:
    origin = open_source(source)
    try:
        import_source(origin, store, ImportOptions(**options))  # type: ignore[arg-type]
    finally:
        origin.close()
    return open_store(store)


def frames_of(store: Store, camera: str) -> np.ndarray:
    return np.concatenate([store.frames(camera, *span) for span in store.spans()])


@pytest.mark.parametrize("copy", [False, True])
def test_frames_of_videos_stay_where_they_are_unless_copied(tmp_path: Path, copy: bool) -> None:
    made = lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "store.zarr", copy_frames=copy)
    assert ("frames_front" in store.keys("data")) == copy
    assert ("pts_front" in store.keys("data")) != copy
    shown = frames_of(store, FRONT).astype(int)
    wanted = np.concatenate([each.frames for each in made]).astype(int)
    assert np.abs(shown - wanted).max() <= 2  # H.264
    assert len({*map(bytes, store.content(FRONT))}) == len(LENGTHS)


def test_frames_are_found_by_any_thread_in_any_order(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = lerobot(tmp_path / "set", lengths=(40, 60, 30))
    store = imported(tmp_path / "set", tmp_path / "store.zarr")
    read = store.frame_reader(FRONT)
    wanted = np.concatenate([each.frames for each in made]).astype(int)
    starts = np.random.default_rng(0).permutation(range(0, 120, 5))
    with ThreadPoolExecutor(4) as pool:
        for start, found in zip(starts, pool.map(lambda s: read(s, s + 7), starts), strict=True):
            assert np.abs(found.astype(int) - wanted[start : start + 7]).max() <= 2


def test_a_video_that_changed_or_went_is_noticed(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "store.zarr")
    video = next((tmp_path / "set").rglob("*.mp4"))
    video.write_bytes(video.read_bytes() + b"x")
    with pytest.raises(VipOfflineError, match=r"episode 0: .*was changed"):
        store.frames(FRONT, 0, 1)
    video.unlink()
    with pytest.raises(VipOfflineError, match=r"is gone.*--copy-frames"):
        store.frames(FRONT, 0, 1)


def test_frames_are_drawn_at_another_size(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    store = imported(tmp_path / "set", tmp_path / "a.zarr", size=(16, 24))
    assert store.frames(FRONT, 0, 2).shape == (2, 16, 24, 3)
    replay(tmp_path / "r.zarr")
    store = imported(tmp_path / "r.zarr", tmp_path / "b.zarr", size=(16, 24))
    assert store.frames("img", 0, 2).shape == (2, 16, 24, 3)


def test_roles_are_guessed_and_may_be_said(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    store = imported(
        tmp_path / "set",
        tmp_path / "store.zarr",
        key_map=("action=robot.command", "proprio=robot.qpos,log.grip", "camera:top=front"),
        cameras=("top", "wrist"),
    )
    assert store.cameras == ["top", "wrist"]
    assert store.data("proprio").shape == (sum(LENGTHS), 4)
    assert store.attributes["proprio"][-1] == "log.grip"
    assert store.texts("name") == ["pick é 0", "pick é 1", "pick é 2"]
    np.testing.assert_array_equal(
        store.data("action"), np.concatenate([each.action for each in demos()])
    )
    assert set(store.keys("extras")) == {"log.t", "log.grip", "robot.qpos"}


def test_a_part_of_a_column(tmp_path: Path) -> None:
    made = replay(tmp_path / "set.zarr")
    keys = ("proprio=state[0:2],n_contacts",)
    store = imported(tmp_path / "set.zarr", tmp_path / "s.zarr", key_map=keys)
    state = np.concatenate([each.state for each in made])
    np.testing.assert_array_equal(store.data("proprio"), state[:, [0, 1, 0]])
    assert store.attributes["proprio"] == ["state[0]", "state[1]", "n_contacts"]
    np.testing.assert_array_equal(store.extra("state"), state)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"key_map": ("action=action[2:]",)}, "is empty: column 'action' has 2 numbers"),
        ({"key_map": ("action=actoin",)}, "Did you mean 'action'"),
        ({"key_map": ("actoin=action",)}, "expected ROLE=COLUMN"),
        ({"key_map": ("action=observation.images.front",)}, "holds pictures"),
        ({"key_map": ("camera:top=action",)}, "cannot be camera:top"),
        ({"key_map": ("reward=action",)}, "needs one number"),
        ({"cameras": ("frnt",)}, "Did you mean 'front'"),
    ],
)
def test_roles_that_cannot_be(tmp_path: Path, options: dict[str, object], part: str) -> None:
    lerobot(tmp_path / "set")
    with pytest.raises(VipOfflineError, match=part):
        imported(tmp_path / "set", tmp_path / "store.zarr", **options)
    assert [each.name for each in tmp_path.iterdir()] == ["set"]


def test_a_broken_episode_leaves_nothing_or_is_left_out(tmp_path: Path) -> None:
    import h5py

    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        file["data/demo_1/actions"][2, 0] = np.nan
    with pytest.raises(VipOfflineError, match=r"demo_1: action\[2, 0\] is nan"):
        imported(tmp_path / "set.hdf5", tmp_path / "store.zarr")
    assert not (tmp_path / "store.zarr").exists()
    store = imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    store.require_finished()
    assert store.texts("name") == ["demo_0", "demo_2"]
    assert "demo_1" in store.attributes["left_out"]["1"]
    before = contents(tmp_path / "store.zarr")
    imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    assert contents(tmp_path / "store.zarr") == before


def test_all_broken_is_no_store(tmp_path: Path) -> None:
    import h5py

    robomimic(tmp_path / "set.hdf5", lengths=(4,))
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        file["data/demo_0/actions"][2, 0] = np.inf
    with pytest.raises(VipOfflineError, match="no episode could be read"):
        imported(tmp_path / "set.hdf5", tmp_path / "store.zarr", skip_broken=True)
    assert not (tmp_path / "store.zarr").exists()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    imported(tmp_path / "set.zarr", tmp_path / "store.zarr", max_episodes=2)
    before = contents(tmp_path / "store.zarr")
    with pytest.raises(VipOfflineError, match="other settings"):
        imported(tmp_path / "set.zarr", tmp_path / "store.zarr")
    assert contents(tmp_path / "store.zarr") == before
    assert len(open_store(tmp_path / "store.zarr")) == 2


def test_a_killed_import_goes_on_with_the_next_episode(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr", lengths=(3,) * 6)
    wait = (
        "import sys, time; from vip_offline.data import importing; "
        "one = importing.batches; "
        "importing.BATCH_EPISODES = 1; convert = importing._Converter.__call__; "
        "importing._Converter.__call__ = lambda self, i: (time.sleep(0.2), convert(self, i))[1]; "
        "from vip_offline.cli import main; "
        "sys.argv = ['vip-offline', 'import', 'set.zarr', 'store.zarr']; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", wait], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not _done(tmp_path / "store.zarr") >= 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = _done(tmp_path / "store.zarr")
    assert 2 <= there < 6
    with pytest.raises(VipOfflineError, match="Run the command"):
        open_store(tmp_path / "store.zarr").require_finished()
    result = subprocess.run(
        [*PROGRAM, "import", "set.zarr", "store.zarr"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert f"import: {6 - there} episodes" in result.stdout
    store = open_store(tmp_path / "store.zarr")
    store.require_finished()
    np.testing.assert_array_equal(
        store.data("action"), np.concatenate([each.action for each in demos((3,) * 6)])
    )


def _done(path: Path) -> int:
    try:
        return len(open_store(path))
    except VipOfflineError:
        return 0


def test_many_small_episodes_are_written_together() -> None:
    episode = Episode(
        frames={},
        proprio=np.zeros((2, 3), np.float32),
        action=np.zeros((2, 1), np.float32),
        succeeded=np.zeros(2, bool),
        true_reward=np.zeros(2, np.float32),
        success=True,
    )
    big = dataclasses.replace(episode, extras={"x": np.zeros((2, 5_000_000))})

    def some() -> Iterator[Episode]:
        yield from [episode] * 1500
        yield from [big] * 2

    assert [len(each) for each in batches(some())] == [1024, 477, 1]


def test_ten_thousand_tiny_episodes(tmp_path: Path) -> None:
    lengths = (2,) * 10_000
    made = [*demos((2,) * 4)] * 2500
    import zarr

    root = zarr.open_group(tmp_path / "set.zarr", mode="w")
    action = np.concatenate([each.action for each in made])
    root.create_array("data/action", data=action)
    root.create_array("data/state", data=np.concatenate([each.state for each in made]))
    root.create_array("meta/episode_ends", data=np.cumsum(lengths))
    store = imported(tmp_path / "set.zarr", tmp_path / "store.zarr")
    assert len(store) == 10_000
    np.testing.assert_array_equal(store.data("action"), action)


@given(
    lengths=st.lists(st.integers(2, 5), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    names=st.lists(
        st.text("aé漢_ñ0", min_size=1, max_size=4).filter(str.isalpha),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)
@settings(max_examples=10, deadline=None)
def test_what_else_there_is_is_kept_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], dtype: str, names: list[str]
) -> None:
    import zarr

    path = tmp_path_factory.mktemp("hypothesis")
    replay(path / "set.zarr", lengths=lengths)
    root = zarr.open_group(path / "set.zarr", mode="r+")
    rows = sum(lengths)
    columns = {name: np.arange(rows * 2).reshape(rows, 2).astype(dtype) for name in names}
    for name, values in columns.items():
        root.create_array(f"data/{name}", data=values)
    store = imported(path / "set.zarr", path / "store.zarr", key_map=("proprio=state",))
    for name, values in columns.items():
        kept = store.extra(name)
        assert kept.dtype == values.dtype
        np.testing.assert_array_equal(kept, values)
    np.testing.assert_array_equal(np.diff(store.ends, prepend=0), lengths)


def test_names_that_a_store_cannot_hold() -> None:
    names = stored_as(["obs/x", "obs.x", "pos(x)", "-a", "é 漢", "x.partial"])
    assert [*names.values()] == ["obs.x", "obs.x_", "pos_x_", "_-a", "é 漢", "x.partial_"]


def test_into_itself_or_less_than_nothing(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    before = contents(tmp_path / "set.zarr")
    with pytest.raises(VipOfflineError, match="into itself"):
        imported(tmp_path / "set.zarr", tmp_path / "set.zarr")
    with pytest.raises(VipOfflineError, match="--max-episodes -1"):
        imported(tmp_path / "set.zarr", tmp_path / "s.zarr", max_episodes=-1)
    assert contents(tmp_path / "set.zarr") == before
    assert [each.name for each in tmp_path.iterdir()] == ["set.zarr"]


def test_without_pictures_nothing_is_embedded(tmp_path: Path) -> None:
    import h5py

    from vip_offline.label.relabel import relabel
    from vip_offline.recipe import RelabelOptions

    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        for name in file["data"]:
            del file[f"data/{name}/obs/agentview_image"]
    imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    with pytest.raises(VipOfflineError, match="has no frames"):
        relabel(tmp_path / "s.zarr", RelabelOptions(encoder="pixels"))


def test_the_map_of_keys_is_of_the_catalogue(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    origin = open_source(tmp_path / "set")
    keys = key_map(origin.catalogue(), ImportOptions(), origin.path)
    assert keys.action == ("action",) and keys.proprio == ("observation.state",)
    assert keys.cameras == {FRONT: "observation.images.front"}
    np.testing.assert_array_equal(force(demos()[0]).shape, (LENGTHS[0], 2, 2))
    assert SIZE == 32
