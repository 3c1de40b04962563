from pathlib import Path

import h5py
import numpy as np
from hdf5_files import with_filter

from vip_offline.data.sources.hdf5_tree import column_of_dataset, datasets_below, missing_filter
from vip_offline.data.sources.source import Column


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
