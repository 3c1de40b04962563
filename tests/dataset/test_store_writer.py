import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import brightness_episode
from store_files import assert_same, contents, everything, overwrite_attribute

from vip_offline.dataset.labels import Label
from vip_offline.dataset.storage import durable_store
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.store import is_store, open_store
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.relabel import relabel

PLAN = {"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}


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


HOLD = """
import sys, time
from pathlib import Path
from vip_offline.dataset.store_writer import writing
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
from vip_offline.dataset.store import open_store
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store_writer import writing
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


@pytest.mark.slow
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


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/tmp/x", ".hidden", "x.replaced"])
def test_names_that_would_leave_the_store(labelled: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "x"
    victim.mkdir()
    (victim / "thesis.tex").write_text("precious")
    before, around = contents(labelled), sorted(tmp_path.iterdir())
    label = open_store(labelled).label()
    with pytest.raises(VipOfflineError, match="is no name"), writing(labelled) as store:
        store.write_label(dataclasses.replace(label, name=name))
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


def test_each_marker_is_written_between_two_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a marker vouches for is on the disk before it, and the marker before anything else."""
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
            store.write_embeddings("e", "front", {index: np.ones((5, 2), np.float32)})
    for marker, vouched in (
        ("meta/done/c.0", ("data/", "meta/episode_ends/c")),
        ("embeddings/e/front@content/c.0.0", ("embeddings/e/front/c",)),
    ):
        places = [place for place, event in enumerate(events) if event == marker]
        for place in places[-2:]:
            last_flush = max(at for at in range(place) if events[at] == "sync")
            assert not any(event.startswith(vouched) for event in events[last_flush:place])
            next_flush = events.index("sync", place)
            assert not any(event.startswith(vouched) for event in events[place:next_flush])
    events.clear()
    with writing(path) as store:
        ones = np.ones(10, np.float32)
        store.write_label(Label("l", ones, ones, None, {}))
    assert "sync" in events[events.index("reward/c/0") :]


class Killed(Exception):
    """An end that nothing in the program expects."""


@pytest.mark.slow
def test_an_append_that_was_killed_leaves_what_was_committed(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was: between any two files that it writes."""
    expected, written, write = everything(store_path), list[str](), DurableStore._set

    def append(path: Path, files: int) -> None:
        """Add an episode; end before the file of this number, and clear nothing away."""

        async def killed(self: DurableStore, key: str, value: Any, exclusive: bool = False) -> None:
            if len(written) == files:
                raise Killed
            if not exclusive:  # of a description that is to be there: it is
                written.append(key)
            await write(self, key, value, exclusive)

        with writing(path, create=PLAN) as store, monkeypatch.context() as patch:
            written.clear()
            patch.setattr(DurableStore, "_set", killed)
            patch.setattr(StoreWriter, "drop_unfinished", lambda self: None)
            try:
                store.append(brightness_episode(4, True, 9))
            except Killed:
                store.drop_unfinished = lambda: None  # type: ignore[method-assign]
                raise

    shutil.copytree(store_path, tmp_path / "whole.zarr")
    append(tmp_path / "whole.zarr", -1)
    assert len(open_store(tmp_path / "whole.zarr")) == 4
    # what comes behind the marker are states of files, which may be lost
    count = len(written) - written[::-1].index("meta/done/zarr.json")
    assert all(key.startswith("files/") for key in written[count:])
    for files in {*range(0, count, 6), count - 2, count - 1}:
        path = tmp_path / f"{files}.zarr"
        shutil.copytree(store_path, path)
        with pytest.raises(Killed):
            append(path, files)
        store = open_store(path)
        assert len(store) == 3
        np.testing.assert_array_equal(
            store.frames("front", 0, store.rows), expected["frames/front"]
        )
        with writing(path, create=PLAN):
            pass
        assert_same(everything(path), expected)
        append(path, -1)
        assert_same(everything(path), everything(tmp_path / "whole.zarr"))


def test_states_that_a_killed_process_left_out_are_written_by_the_next(store_path: Path) -> None:
    states = store_path / "files/data/frames_front"
    before = contents(states)
    shutil.rmtree(states)
    with writing(store_path, create=PLAN):
        pass
    assert contents(states).keys() == before.keys()
    assert not open_store(store_path).touched("data/frames_front").any()


@pytest.mark.slow
def test_a_reader_beside_the_writer_never_finds_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copies = tmp_path / "demos.zarr", list[Path]()
    write = durable_store._replace

    def write_and_copy(file: Path, content: bytes) -> bool:
        flushed = write(file, content)
        copies.append(tmp_path / f"copies/{len(copies)}.zarr")
        shutil.copytree(path, copies[-1])
        return flushed

    monkeypatch.setattr(durable_store, "_replace", write_and_copy)
    with writing(path, create=PLAN) as store:
        store.append(brightness_episode(5, True, 9))
        store.append(dataclasses.replace(brightness_episode(4, True, 9), success_labelled=False))
    relabel(path, RelabelOptions(encoder="pixels"))
    seen = set()
    for copy in (*copies, path):
        if not is_store(copy):
            continue
        reader = open_store(copy)
        for group in ("data", "extras", "meta"):
            for key in reader.keys(group):
                reader.rows_of(f"{group}/{key}", 0, reader.rows if group == "data" else len(reader))
        embedded = [reader.embedded(name, "front").tolist() for name in reader.encoders]
        seen.add((len(reader), str(embedded), tuple(reader.label_names)))
    assert {(1, "[]", ()), (2, "[[False, False]]", ()), (2, "[[True, True]]", ("pixels",))} <= seen


def test_what_others_do_to_an_array_while_it_is_open_for_writing_is_seen(store_path: Path) -> None:
    with writing(store_path) as store:
        first = store.array("data/action")
        assert store.array("data/action") is first  # nothing changed: it is not opened again
        overwrite_attribute(store_path, "data/action", unit="m")
        assert store.array("data/action").attrs["unit"] == "m"
        (store_path / "data/action/zarr.json").write_text("{garbage")
        with pytest.raises(VipOfflineError, match=r"data/action/zarr.json: cannot be read"):
            store.array("data/action")
        (store_path / "data/action/zarr.json").unlink()
        with pytest.raises(VipOfflineError, match=r"the description of data/action .*is gone"):
            store.array("data/action")


def test_a_store_grows_where_nothing_may_be_written_beside_it(store_path: Path) -> None:
    """As a volume of its own does, or a folder that belongs to somebody else."""
    episode = dataclasses.replace(brightness_episode(4, True, 9), success_labelled=False)
    beside = store_path.with_name(f".{store_path.name}.staging")
    with writing(store_path, create=PLAN) as store:
        beside.touch()  # a file: no folder can be made there
        store.append(episode)
    assert beside.is_file()
    assert open_store(store_path).success_labelled.tolist() == [True, True, True, False]
    assert not [*store_path.glob(".*")]
