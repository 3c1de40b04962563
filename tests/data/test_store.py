import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import LENGTHS, SIZE, brightness_episode
from store_files import contents

from vip_offline.data.store import default_store, open_store, writing
from vip_offline.errors import VipOfflineError

PLAN = {"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}


def test_what_was_written_is_read(store_path: Path) -> None:
    store = open_store(store_path)
    store.require_finished()
    assert store.ends.tolist() == np.cumsum(LENGTHS).tolist()
    assert store.kinds() == ["expert", "frozen", "expert"]
    assert store.meta("success").tolist() == [True, False, True]
    for index, (start, stop) in enumerate(store.spans()):
        episode = brightness_episode(LENGTHS[index], index != 1, index)
        np.testing.assert_array_equal(store.frames("front", start, stop), episode.frames["front"])
        np.testing.assert_array_equal(store.data("action")[start:stop], episode.action)
        np.testing.assert_array_equal(store.data("true_reward")[start:stop], episode.true_reward)


def test_a_diffusion_policy_reader_finds_what_it_knows(store_path: Path) -> None:
    root = zarr.open_group(store_path, mode="r")
    stored, data = root["meta/episode_ends"], root["data"]
    assert isinstance(stored, zarr.Array)
    assert isinstance(data, zarr.Group)
    ends = np.asarray(stored[:])
    assert ends.dtype == np.int64
    assert {array.shape[0] for _, array in data.arrays()} == {int(ends[-1])}
    frames = root["data/frames_front"]
    assert isinstance(frames, zarr.Array)
    assert frames.shape == (sum(LENGTHS), SIZE, SIZE, 3)
    assert frames.chunks == (1, SIZE, SIZE, 3)


def test_an_episode_without_its_marker_is_not_there(store_path: Path) -> None:
    done = zarr.open_group(store_path, mode="r+")["meta/done"]
    assert isinstance(done, zarr.Array)
    done[2] = False
    store = open_store(store_path)
    assert len(store) == 2
    assert store.rows == sum(LENGTHS[:2])
    with pytest.raises(VipOfflineError, match="episode 2 is unfinished"):
        store.require_finished()


def test_a_plan_not_carried_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN | {"episodes_planned": 5}) as store:
        store.append(brightness_episode(4, True, 0))
    with pytest.raises(VipOfflineError, match="1 of 5 episodes"):
        open_store(path).require_finished()


def test_an_error_in_the_middle_leaves_the_store_as_it_was(store_path: Path) -> None:
    before = contents(store_path)
    broken = dataclasses.replace(
        brightness_episode(5, True, 9), action=np.full((5, 4), np.nan, np.float32)
    )
    with (
        pytest.raises(VipOfflineError, match=r"episode 3: action\[0, 0\]"),
        writing(store_path, create=PLAN) as store,
    ):
        store.append(broken)
    assert contents(store_path) == before


def test_rows_of_another_shape_are_refused_and_leave_no_trace(store_path: Path) -> None:
    before = contents(store_path)
    episode = brightness_episode(5, True, 9)
    wide = dataclasses.replace(episode, action=np.zeros((5, 7), np.float32))
    with (
        pytest.raises(VipOfflineError, match="data/action"),
        writing(store_path, create=PLAN) as store,
    ):
        store.append(wide)
    assert contents(store_path) == before
    assert len(open_store(store_path)) == 3


def test_other_settings_are_refused(store_path: Path) -> None:
    with (
        pytest.raises(VipOfflineError, match="task 'drawer-close', now 'push'"),
        writing(store_path, create={**PLAN, "task": "push"}),
    ):
        pass


@pytest.mark.parametrize("content", ["empty", "text", "foreign zarr"])
def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thing"
    path.mkdir()
    if content == "text":
        (path / "notes.txt").write_text("precious")
    elif content == "foreign zarr":
        zarr.create_group(path)
    before = contents(path)
    with pytest.raises(VipOfflineError, match="is not a vip-offline store"):
        open_store(path)
    with pytest.raises(VipOfflineError, match="is not a vip-offline store"), writing(path):
        pass
    if content != "empty":
        with (
            pytest.raises(VipOfflineError, match="is not a vip-offline store"),
            writing(path, create=PLAN),
        ):
            pass
    assert contents(path) == before


def test_a_newer_schema_is_refused(store_path: Path) -> None:
    zarr.open_group(store_path, mode="r+").attrs["schema_version"] = 2
    with pytest.raises(VipOfflineError, match="schema version 2"):
        open_store(store_path)


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    for attempt in (open_store, writing):
        with pytest.raises(VipOfflineError, match=r"no such store.*record"):
            with_or_without = attempt(tmp_path / "no.zarr")
            with_or_without.__enter__()  # type: ignore[union-attr]


HOLD = """
import sys, time
from pathlib import Path
from vip_offline.data.store import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_writer_at_a_time_and_a_killed_one_leaves_no_lock(store_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store_path)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(VipOfflineError, match="another process is writing"),
            writing(store_path),
        ):
            pass
        assert len(open_store(store_path)) == 3  # reading goes on
        holder.kill()
        holder.wait()
    with writing(store_path, create=PLAN) as store:
        store.append(brightness_episode(4, True, 7))
    assert len(open_store(store_path)) == 4


FILL = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import numpy as np
from conftest import brightness_episode
from dataclasses import replace
from vip_offline.data.store import writing, open_store
from vip_offline.errors import VipOfflineError
path, generator = Path(sys.argv[1]), np.random.default_rng(0)
try:
    with writing(path, create={"task": "x"}) as store:
        for index in range(1000):
            noise = generator.integers(0, 256, (8, 64, 64, 3), np.uint8)  # does not compress
            store.append(replace(brightness_episode(8, True, index), frames={"front": noise}))
except VipOfflineError as error:
    print(error)
    print(len(open_store(path)), *(f.name for f in path.rglob("*.partial")))
"""


def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    """On a real file system of 3 MB, in a mount namespace of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    here = Path(__file__).parents[1]
    inner = (
        f"mount -t tmpfs -o size=3m tmpfs {folder} && "
        f'exec {sys.executable} -c "$FILL" {folder}/x.zarr {here}'
    )
    result = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", inner],
        env=os.environ | {"FILL": FILL},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare failed" in result.stderr or "Operation not permitted" in result.stderr:
        pytest.skip("this kernel lets no user mount a file system")
    assert result.returncode == 0, result.stderr
    message, count = result.stdout.splitlines()
    assert "the disk is full" in message
    assert f"({count} episodes)" in message
    assert 5 < int(count) < 40


def test_a_labelling_taken_out_of_place_is_put_back(labelled: Path) -> None:
    before = open_store(labelled).label("pixels").reward
    staging = labelled.with_name(f".{labelled.name}.staging")
    staging.mkdir()
    # as if killed between the two renames of `write_label`
    (labelled / "labels" / "pixels").rename(staging / "pixels.replaced")
    shutil.copytree(staging / "pixels.replaced", staging / "pixels")
    with writing(labelled) as store:
        np.testing.assert_array_equal(store.label("pixels").reward, before)
    assert not staging.exists()


def test_a_label_that_lags_behind_is_refused(labelled: Path) -> None:
    with writing(labelled, create=PLAN) as store:
        store.append(brightness_episode(4, True, 7))
    with pytest.raises(VipOfflineError, match="covers 3 of 4 episodes"):
        open_store(labelled).label()
    with pytest.raises(VipOfflineError, match="lacks episode 3"):
        open_store(labelled).embedding("pixels", "front")


def test_labels_that_are_not_there(store_path: Path, labelled: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"no label 'pixel'.*Did you mean 'pixels'"):
        open_store(labelled).label("pixel")


def test_the_default_is_the_only_store(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    with pytest.raises(VipOfflineError, match="none under"):
        default_store(tmp_path)
    path = make_store("a")
    assert default_store(tmp_path) == path
    make_store("b")
    with pytest.raises(VipOfflineError, match=r"holds 2(?s:.*)a\.zarr(?s:.*)b\.zarr"):
        default_store(tmp_path)


def test_a_damaged_chunk_is_named(store_path: Path) -> None:
    (store_path / "data/frames_front/c.6.0.0.0").write_bytes(b"not a chunk")
    with pytest.raises(VipOfflineError, match=r"data/frames_front, rows 5 to 12"):
        open_store(store_path).frames("front", 5, 12)


def test_cameras(store_path: Path) -> None:
    store = open_store(store_path)
    assert store.camera("") == store.camera("front") == "front"
    with pytest.raises(VipOfflineError, match=r"no camera 'frnt'.*Did you mean 'front'"):
        store.camera("frnt")


def test_a_lost_frame_is_not_black(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN) as store:
        store.append(brightness_episode(5, False, 0))  # every frame is black
    store = open_store(path)
    assert not store.frames("front", 0, 5).any()
    (path / "data/frames_front/c.3.0.0.0").unlink()
    with pytest.raises(VipOfflineError, match="frame 3 of camera front is missing"):
        store.frames("front", 0, 5)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp/x", ".hidden", "x.replaced"])
def test_names_that_would_leave_the_store(labelled: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "x"
    victim.mkdir()
    (victim / "thesis.tex").write_text("precious")
    before, around = contents(labelled), sorted(tmp_path.iterdir())
    label = open_store(labelled).label()
    with pytest.raises(VipOfflineError, match="is no name"), writing(labelled) as store:
        store.write_label(name, label.reward, label.distance, {})
    episode = brightness_episode(5, True, 0)
    with (
        pytest.raises(VipOfflineError, match="is no name"),
        writing(tmp_path / "new.zarr", create=PLAN) as store,
    ):
        store.append(dataclasses.replace(episode, frames={name: episode.frames["front"]}))
    shutil.rmtree(tmp_path / "new.zarr")
    assert contents(labelled) == before
    assert sorted(tmp_path.iterdir()) == around
    assert (victim / "thesis.tex").exists()


def test_files_of_the_users_own_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.mkdir()
    (path / "movie.partial").write_text("precious")
    with pytest.raises(VipOfflineError, match="is not a vip-offline"), writing(path, create=PLAN):
        pass
    assert (path / "movie.partial").exists()


def test_ends_that_do_not_ascend(store_path: Path) -> None:
    ends = zarr.open_group(store_path, mode="r+")["meta/episode_ends"]
    assert isinstance(ends, zarr.Array)
    ends[1] = 3
    with pytest.raises(VipOfflineError, match=r"episode_ends\[1\] is 3"):
        open_store(store_path).require_finished()


def test_a_shortened_array(store_path: Path) -> None:
    action = zarr.open_group(store_path, mode="r+")["data/action"]
    assert isinstance(action, zarr.Array)
    action.resize((10, 4))
    with pytest.raises(VipOfflineError, match=r"data/action has 10 rows.*differ in length"):
        open_store(store_path).require_finished()


def test_a_damaged_description(store_path: Path) -> None:
    (store_path / "data/action/zarr.json").write_text("{garbage")
    with pytest.raises(VipOfflineError, match=r"data/action \(its zarr.json\) cannot be read"):
        open_store(store_path).data("action")


def test_each_marker_is_written_between_two_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a marker vouches for is on the disk before it, and the marker before anything else."""
    from vip_offline.data.durable import DurableStore

    events: list[str] = []
    write, sync = DurableStore._set, DurableStore.sync

    async def noted(self: DurableStore, key: str, value: Any, exclusive: bool = False) -> None:
        events.append(key)
        await write(self, key, value, exclusive)

    def synced(self: DurableStore) -> None:
        events.append("sync")
        sync(self)

    monkeypatch.setattr(DurableStore, "_set", noted)
    monkeypatch.setattr(DurableStore, "sync", synced)
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN) as store:
        store.append(brightness_episode(5, True, 0))
        store.append(brightness_episode(5, True, 1))
        store.begin_embedding("e", "front", 2, {"encoder": "e"})
        for index in range(2):
            store.write_embedding("e", "front", index, np.ones((5, 2), np.float32))
    for marker, vouched in (
        ("meta/done/c.0", ("data/", "meta/episode_ends/c")),
        ("embeddings/e/front_done/c.0", ("embeddings/e/front/c",)),
    ):
        places = [place for place, event in enumerate(events) if event == marker]
        for place in places[-2:]:
            last_flush = max(at for at in range(place) if events[at] == "sync")
            assert not any(each.startswith(vouched) for each in events[last_flush:place])
            next_flush = events.index("sync", place)
            assert not any(each.startswith(vouched) for each in events[place:next_flush])
    events.clear()
    with writing(path) as store:
        store.write_label("l", np.ones(10, np.float32), np.ones(10, np.float32), {})
    assert "sync" in events[events.index("reward/c/0") :]
