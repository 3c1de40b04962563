import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pickle_trap import Trap

from vip_offline.errors import VipOfflineError
from vip_offline.training.checkpoint import (
    CHECKPOINT,
    Arrays,
    read_checkpoint,
    write_checkpoint,
)

KNOWN = {"options": {"tau": 1.0}, "store": "demos.zarr", "label": {"name": "lite0"}}
ARRAYS: Arrays = {"step": np.array(7), "parameters": np.arange(5, dtype=np.float32)}


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None


def test_a_checkpoint_is_whole_or_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, ARRAYS, KNOWN, [{"step": 7, "loss": 0.5}])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path, {"step": np.array(9)}, KNOWN, [])
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.arrays.keys() == ARRAYS.keys()
    np.testing.assert_array_equal(found.arrays["parameters"], ARRAYS["parameters"])
    assert found.arrays["parameters"].dtype == np.float32
    assert (found.identity, found.metrics) == ({**KNOWN, "read": {}}, [{"step": 7, "loss": 0.5}])


def test_a_newer_checkpoint_takes_the_place_of_the_older(tmp_path: Path) -> None:
    for step in (7, 9):
        write_checkpoint(tmp_path, {"step": np.array(step)}, KNOWN, [])
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.arrays["step"] == 9
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def without_metrics(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, step=np.array(1), identity=np.array("{}"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(np.float32(4).tobytes())  # the last parameter
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [cut, flip, without_metrics, Path.mkdir, lambda path: path.write_bytes(b"")]
)
def test_a_damaged_checkpoint_says_what_to_do(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    path = tmp_path / CHECKPOINT
    if damage is not Path.mkdir:
        write_checkpoint(tmp_path, ARRAYS, KNOWN, [])
    damage(path)
    way_out = rf"cannot be read.*Remove {tmp_path}" if damage is not Path.mkdir else "a directory"
    with pytest.raises(VipOfflineError, match=rf"{CHECKPOINT}: .*{way_out}"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_of_pickles_is_not_read(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    with (tmp_path / CHECKPOINT).open("wb") as file:
        np.savez(file, step=np.array(1), identity=np.array([Trap(sprung)], object))
    assert str(sprung).encode() in (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(VipOfflineError, match="cannot be read"):
        read_checkpoint(tmp_path)
    assert not sprung.exists()
