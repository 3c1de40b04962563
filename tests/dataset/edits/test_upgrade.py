import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import brightness_episode
from store_files import assert_same, contents, everything, overwrite

from vip_offline.dataset.edits import upgrade as upgrading
from vip_offline.dataset.edits.seal import seal
from vip_offline.dataset.edits.upgrade import upgrade
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_format import SCHEMA_VERSION
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError

ARCHIVE = Path(__file__).parents[2] / "written_by" / "0.1.0.tar.xz"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores of release 0.1.0, not to be changed."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        members = [
            member for member in archive if member.name.startswith(("demos.zarr", "linked.zarr"))
        ]
        archive.extractall(folder, members, filter="data")
    return folder


@pytest.fixture
def old(unpacked: Path, tmp_path: Path) -> Path:
    shutil.copytree(unpacked / "demos.zarr", tmp_path / "demos.zarr")
    return tmp_path / "demos.zarr"


def without_version(given: dict[str, Any]) -> dict[str, Any]:
    """But for what an upgrade is there to change."""
    of_format = ("schema_version", "arrays", "sealed")
    attributes = {k: v for k, v in given["attributes"].items() if k not in of_format}
    return given | {"attributes": attributes}


@pytest.mark.parametrize("sealed", [False, True])
def test_it_means_what_it_meant(old: Path, sealed: bool) -> None:
    if sealed:
        seal(old)
    before = everything(old)
    tree = open_store(old).tree()
    arrays = [key for key, shape, _, _ in tree if shape]
    started, done = list[int](), list[int]()
    assert upgrade(old, started.append, done.append)
    assert_same(without_version(everything(old)), without_version(before))
    store = open_store(old)
    assert (store.version, store.checked) == (SCHEMA_VERSION, True)
    fresh = {f"embeddings/{name}/corner@hash" for name in store.encoders}
    assert {key for key, shape, _, _ in store.tree() if shape} == {*arrays} | fresh
    assert started == [sum(done)] == [len(arrays)]
    assert len([*(old / "data/frames_corner").glob("c.*")]) == 1
    assert [entry.name for entry in old.parent.iterdir()] == ["demos.zarr"]


def test_a_second_time_there_is_nothing_to_do(old: Path) -> None:
    assert upgrade(old)
    before = contents(old)
    assert not upgrade(old)
    assert contents(old) == before


def test_damage_is_noticed_from_then_on(old: Path) -> None:
    upgrade(old)
    (old / "data/action/c.0.0").unlink()
    with pytest.raises(VipOfflineError, match=r"data/action: c\.0\.0 is missing"):
        open_store(old).data("action")


def test_episodes_can_be_added_then(old: Path) -> None:
    upgrade(old)
    attributes = {k: open_store(old).attributes[k] for k in ("task", "control_rate")}
    episode = brightness_episode(5, True, 9)
    with writing(old, create=attributes) as store:
        store.append(
            type(episode)(**{**vars(episode), "frames": {"corner": episode.frames["front"]}})
        )
    assert len(open_store(old)) == 5
    open_store(old).require_finished()


@pytest.mark.parametrize("harm", ["changed", "lost"])
def test_damaged_frames_are_refused(old: Path, harm: str) -> None:
    if harm == "changed":
        overwrite(old, "data/frames_corner", 6, 200)
    else:
        (old / "data/frames_corner/c.6.0.0.0").unlink()
    before = contents(old)
    with pytest.raises(VipOfflineError, match=r"episode 1: its frames of camera corner|frame 6"):
        upgrade(old)
    assert contents(old) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["demos.zarr"]


def test_a_sealed_store_that_was_changed_is_refused(old: Path) -> None:
    seal(old)
    overwrite(old, "data/action", 6, 9)
    with pytest.raises(VipOfflineError, match="actions of episode 1 changed"):
        upgrade(old)
    assert open_store(old).version == 1


@pytest.mark.parametrize("where", ["_put_rows", "_finish_copy", "hash_embeddings", "put_in_place"])
def test_an_interrupted_upgrade_leaves_the_store(
    old: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before, expected = contents(old), everything(old)
    home: Any = StoreWriter if where == "hash_embeddings" else upgrading
    calls, real = list[int](), getattr(home, where)

    def interrupted(*given: Any, **named: Any) -> Any:
        calls.append(0)
        if where != "_put_rows" or len(calls) == 5:
            raise KeyboardInterrupt
        return real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(home, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            upgrade(old)
    assert contents(old) == before
    assert [entry.name for entry in old.parent.iterdir()] == ["demos.zarr"]
    assert upgrade(old)  # and then it goes through
    assert_same(without_version(everything(old)), without_version(expected))


def test_what_a_killed_upgrade_left_beside_it_is_cleared(old: Path) -> None:
    shutil.copytree(old, old.with_name(".demos.zarr.upgraded"))
    (old.with_name(".demos.zarr.upgraded") / "zarr.json").unlink()
    old.rename(old.with_name(".demos.zarr.replaced"))  # killed between two renames
    assert upgrade(old)
    assert [entry.name for entry in old.parent.iterdir()] == ["demos.zarr"]
    open_store(old).require_finished()


def test_a_store_of_linked_videos(unpacked: Path, tmp_path: Path) -> None:
    """Its videos need not be there."""
    path = tmp_path / "linked.zarr"
    shutil.copytree(unpacked / "linked.zarr", path)
    store = open_store(path)
    before = [store.meta(name).tobytes() for name in store.keys("meta")]
    assert upgrade(path)
    store = open_store(path)
    assert [store.meta(name).tobytes() for name in store.keys("meta")] == before
    assert store.extra("force").shape == (16, 2, 2)


def test_another_writer_is_waited_for(old: Path) -> None:
    with writing(old), pytest.raises(VipOfflineError, match="another process is writing"):
        upgrade(old)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="no such store"):
        upgrade(tmp_path / "no.zarr")
