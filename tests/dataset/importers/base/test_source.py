"""The contract that every origin keeps."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from origins import LENGTHS, Demo, folders, lerobot, minari, replay, robomimic

from vip_offline.dataset.importers.base.source import VideoSpan, guessed
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import chosen, import_source
from vip_offline.dataset.store import open_store
from vip_offline.options import ImportOptions

FORMATS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "LeRobotDataset v3.0": ("set", lerobot),
    "LeRobotDataset v2.1": ("set", partial(lerobot, version="v2.1")),
    "LeRobotDataset v2.0": ("set", partial(lerobot, version="v2.0")),
    "LeRobotDataset v3.0, pictures": ("set", partial(lerobot, pictures="image")),
    "robomimic HDF5": ("set.hdf5", robomimic),
    "replay buffer, zarr 2": ("set.zarr", replay),
    "replay buffer, zarr 3": ("set.zarr", partial(replay, zarr_format=3)),
    "folders of episodes": ("set", folders),
    "Minari": ("set", minari),
}
MAPS = {"folders of episodes": ("action=robot.command", "proprio=robot.qpos")}


@pytest.mark.parametrize("name", FORMATS)
def test_catalogue_and_rows_agree(tmp_path: Path, name: str) -> None:
    file, make = FORMATS[name]
    made: list[Demo] = make(tmp_path / file)
    source = open_source(tmp_path / file)
    catalogue = source.catalogue()
    assert catalogue.format == name.split(", pictures")[0]
    tail = 1 if name == "Minari" else 0  # an observation more than actions
    assert list(catalogue.lengths) == [length + tail for length in LENGTHS]
    assert len(catalogue.names) == len(LENGTHS)
    for index, length in enumerate(catalogue.lengths):
        rows = source.read(index, [*catalogue.columns])
        assert set(rows.columns) == set(catalogue.columns)
        for column, values in rows.columns.items():
            declared = catalogue.columns[column]
            if isinstance(values, VideoSpan):
                assert declared.kind == "video" and values.file.is_file()
            else:
                assert isinstance(values, np.ndarray)
                assert values.shape == (length, *declared.shape), column
                assert (values.dtype == np.uint8) if declared.kind == "pictures" else True
                assert declared.kind == "pictures" or str(values.dtype) == declared.dtype
    source.close()
    assert len(made) == len(LENGTHS)


@pytest.mark.parametrize("name", FORMATS)
def test_imported_it_is_what_was_made(tmp_path: Path, name: str) -> None:
    file, make = FORMATS[name]
    made: list[Demo] = make(tmp_path / file)
    source = open_source(tmp_path / file)
    import_source(source, tmp_path / "s.zarr", ImportOptions(key_map=MAPS.get(name, ())))
    source.close()
    store = open_store(tmp_path / "s.zarr")
    store.require_finished()
    camera = store.cameras[0]
    for (start, stop), demo in zip(store.spans(), made, strict=True):
        length = len(demo.action)
        shown = store.frames(camera, start, stop)[:length].astype(int)
        assert np.abs(shown - demo.frames).max() <= 2  # H.264; JPEG of one grey level
        np.testing.assert_array_equal(store.data("action")[start : start + length], demo.action)
        proprio = store.data("proprio")[start : start + length, :3]
        np.testing.assert_allclose(proprio, demo.state, rtol=1e-6)
    assert store.meta("success").all()


def test_the_first_wanted_name_that_is_there() -> None:
    assert guessed(["b", "a"], ["x", "a", "b"]) == ("a",)
    assert guessed(["b"], ["x"]) == ()


def test_the_first_few(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    catalogue = open_source(tmp_path / "set.zarr").catalogue()
    assert chosen(catalogue, ImportOptions(max_episodes=2)) == [0, 1]
    assert chosen(catalogue, ImportOptions()) == [0, 1, 2]
