import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from store_files import assert_same, everything, overwrite

from vip_offline.dataset.edits.seal import SealResult, seal
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError

ARCHIVE = Path(__file__).parents[2] / "written_by" / "0.1.0.tar.xz"


@pytest.fixture(scope="module")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of release 0.1.0 that was sealed, not to be changed."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        members = [
            member for member in archive.getmembers() if member.name.startswith("demos.zarr")
        ]
        archive.extractall(folder, members, filter="data")
    path = folder / "demos.zarr"
    before = everything(path)
    assert not open_store(path).checked
    assert seal(path) == SealResult((), hashed=True)
    assert open_store(path).checked
    after = everything(path)
    assert after["attributes"].pop("sealed") is True
    assert_same(after, before)
    return path


@pytest.fixture
def old(sealed_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(sealed_once, tmp_path / "demos.zarr")
    return tmp_path / "demos.zarr"


def test_sealed_again_it_is_the_same(old: Path) -> None:
    before = everything(old)
    seal(old)
    assert_same(everything(old), before)


@pytest.mark.parametrize(
    ("array", "row", "value", "change"),
    [
        ("data/action", 6, 9, "actions of episode 1 changed"),
        ("data/proprio", slice(0, 23), 9, "proprio of episodes 0, 1, 2, 3 changed"),
        ("meta/success", 1, True, "the success label of episode 1 changed"),
        ("labels/pixels/reward", 20, 9, "the reward of label 'pixels' of episode 3 changed"),
    ],
)
def test_a_change_in_a_sealed_store_is_named(
    old: Path, array: str, row: int | slice, value: float, change: str
) -> None:
    overwrite(old, array, row, value)
    with pytest.raises(VipOfflineError, match=rf"is not what was sealed \({change}\).*--seal"):
        open_store(old).require_finished()
    seal(old)
    open_store(old).require_finished()


def test_a_lost_chunk_of_a_sealed_store_is_named(old: Path) -> None:
    """It has no checksums: zarr reads what is missing as its fill value."""
    (old / "data/succeeded/c.0").unlink()
    with pytest.raises(VipOfflineError, match="the success flags of episode"):
        open_store(old).require_finished()


def test_changed_frames_of_a_sealed_store_are_noticed(old: Path) -> None:
    overwrite(old, "data/frames_corner", 7, 200)
    store = open_store(old)
    changed = (store.content("corner") != store.recorded_content("corner")).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [1]


def test_a_labelling_that_was_deleted_since_is_not_missed(old: Path) -> None:
    shutil.rmtree(old / "labels/pixels")
    open_store(old).require_finished()


def test_edited_descriptions_are_accepted_and_named(labelled: Path) -> None:
    expected = everything(labelled)
    for name in ("", "data/action"):
        node = zarr.open_group(labelled, mode="r+")
        (node[name] if name else node).attrs["note"] = "mine"
    with pytest.raises(VipOfflineError, match=r"zarr\.json: cannot be read.*edited on purpose"):
        open_store(labelled)
    assert seal(labelled) == SealResult((".", "data/action"), hashed=False)
    content = everything(labelled)
    assert content["attributes"].pop("note") == "mine"
    assert_same(content, expected)
    assert seal(labelled) == SealResult((), hashed=False)


@pytest.mark.parametrize("text", ["{garbage", "[]", '{"attributes": 3}', "\udcff"])
def test_what_is_no_description_is_not_accepted(labelled: Path, text: str) -> None:
    file = labelled / "data/action/zarr.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(VipOfflineError, match=r"action/zarr\.json: is no description"):
        seal(labelled)
    assert file.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group"}))
    with pytest.raises(VipOfflineError, match="is not a vip-offline store"):
        seal(folder)
    with pytest.raises(VipOfflineError, match="no such store"):
        seal(tmp_path / "no.zarr")
