import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdf5_files import with_filter

from vip_offline.dataset.importers.base.source import Column
from vip_offline.dataset.importers.formats.hdf5_tree import (
    column_of_dataset,
    datasets_below,
    has,
    member,
    missing_filter,
    open_hdf5,
)
from vip_offline.errors import VipOfflineError


def test_links_are_followed_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file["a/b"] = np.zeros(3)
        file["a/c"] = h5py.SoftLink("/a/b")
        file["a/circle"] = h5py.SoftLink("/a")
        file["a/gone"] = h5py.SoftLink("/nowhere")
        items = dict(datasets_below(file))
    assert isinstance(items["a/b"], h5py.Dataset) and isinstance(items["a/c"], h5py.Dataset)
    assert items["a/circle"] == "is a link to a group that holds it"
    assert str(items["a/gone"]).startswith("cannot be opened, is it a link to nothing?")
    assert len(items) == 4


def test_what_a_dataset_is_per_row(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file["grey"] = np.zeros((3, 20, 24), np.uint8)
        file["pose"] = np.zeros((3, 4, 4))
        assert column_of_dataset("grey", file["grey"], 3) == Column(
            "pictures", (20, 24, 3), "uint8"
        )
        assert column_of_dataset("pose", file["pose"], 3) == Column("numbers", (4, 4), "float64")
        assert "its shape is (3, 4, 4), the episode has 4 rows" in str(
            column_of_dataset("pose", file["pose"], 4)
        )
        assert "no view" in str(column_of_dataset("obs/mask", file["grey"], 3))


def test_only_a_filter_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file.create_dataset("gzip", data=np.zeros((9, 9)), compression="gzip")
        file.create_dataset("lzf", data=np.zeros((9, 9)), compression="lzf")
        with_filter(file, b"rare", (9, 9))
        assert missing_filter(file["gzip"]) == missing_filter(file["lzf"]) == ""
        assert "60000" in missing_filter(file["rare"])


def storage(file: Any, secret: str) -> None:
    file.create_dataset("a/out", (4,), np.uint8, external=[(secret, 0, 4)])


def link(file: Any, secret: str) -> None:
    file.require_group("a")["out"] = h5py.ExternalLink(secret, "/x")


def link_by_way_of(file: Any, secret: str) -> None:
    file["hidden/there"] = h5py.ExternalLink(secret, "/")
    file.require_group("a")["out"] = h5py.SoftLink("/hidden/there/x")


def put_together(file: Any, secret: str) -> None:
    layout = h5py.VirtualLayout((4,), np.uint8)
    layout[:] = h5py.VirtualSource(secret, "x", (4,))
    file.create_virtual_dataset("a/out", layout)


@pytest.mark.parametrize("make", [storage, link, link_by_way_of, put_together])
@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_no_other_file_is_opened(
    tmp_path: Path, make: Callable[[Any, str], None], kind: str
) -> None:
    secret = tmp_path / "secret"
    if kind == "pipe":
        os.mkfifo(secret)  # whoever opened it would wait
    else:
        secret.write_bytes(b"key!")
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        make(file, str(secret))
    with open_hdf5(tmp_path / "set.hdf5") as file:
        for look in (lambda: member(file, "a/out"), lambda: [*datasets_below(file["a"])]):
            with pytest.raises(VipOfflineError, match=r"set.hdf5: /.*secret.*It is not opened"):
                look()
        assert has(file, "a/out")


def test_a_name_is_looked_up_in_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file["a/b"] = np.zeros(3)
        file["a/c"] = h5py.SoftLink("b")
        file["a/self"] = h5py.SoftLink("self")
        assert member(file["a"], "c") == member(file, "/a/./b") == file["a/b"]
        assert has(file, "a/c") and has(file, "a/self") and not has(file, "b/c")
        for name in ("a/self", "a/d", "a/b/c"):
            with pytest.raises(KeyError, match=name.rpartition("/")[2]):
                member(file, name)


def test_values_that_are_nowhere_are_not_made(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        file.create_dataset("zeros", (2**20,), np.uint8, chunks=(2**20,))
        file.create_dataset("absurd", (10**12,), np.uint8, chunks=(2**20,))
        assert member(file, "zeros").shape == (2**20,)
        with pytest.raises(VipOfflineError, match=r"/absurd: is said to hold 1e\+12 bytes"):
            member(file, "absurd")
