"""Damaged files of every format: read right, or refused in words."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from origins import lerobot, minari, replay, robomimic

from vip_offline.dataset.importers.registry import open_source
from vip_offline.errors import VipOfflineError

TIMES = 20  # of each format; 200 of each were tried when this was written


def archive(path: Path) -> None:
    replay(path.parent / "folder")
    shutil.make_archive(str(path.with_suffix("")), "zip", path.parent / "folder")
    shutil.rmtree(path.parent / "folder")


FORMATS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "LeRobot 3": ("set", lerobot),
    "LeRobot 2": ("set", partial(lerobot, version="v2.1")),
    "LeRobot, pictures": ("set", partial(lerobot, pictures="image")),
    "robomimic": ("set.hdf5", robomimic),
    "zarr 2": ("set.zarr", replay),
    "zarr 3": ("set.zarr", partial(replay, zarr_format=3)),
    "zarr, archive": ("set.zarr.zip", archive),
    "Minari": ("set", minari),
}


def damage(file: Path, generator: np.random.Generator) -> None:
    """Cut it, flip bits, write over it, take bytes out, or write one of the odd values."""
    data = bytearray(file.read_bytes())
    kind, place = generator.integers(5), int(generator.integers(len(data)))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for spot in generator.integers(len(data), size=3):
            data[spot] ^= 1 << int(generator.integers(8))
    elif kind == 2:
        data[place : place + 16] = generator.bytes(min(16, len(data) - place))
    elif kind == 3:
        del data[place : place + int(generator.integers(1, 64))]
    else:
        data[place] = int(generator.choice([0, 127, 128, 255]))
    file.write_bytes(data)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_refused_in_words(tmp_path: Path, name: str) -> None:
    file, make = FORMATS[name]
    make(tmp_path / file)
    generator = np.random.default_rng(0)
    for time in range(TIMES):
        path = tmp_path / str(time) / file
        path.parent.mkdir()
        (shutil.copy if path.suffix in (".zip", ".hdf5") else shutil.copytree)(
            tmp_path / file, path
        )
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        kept = [part for part in files if part.stat().st_size and part.suffix != ".mp4"]
        damage(kept[generator.integers(len(kept))], generator)
        with suppress(VipOfflineError):  # any other error fails
            source = open_source(path)
            catalogue = source.catalogue()
            for episode in set(range(len(catalogue.lengths))) - {*catalogue.broken}:
                with suppress(VipOfflineError):
                    source.read(episode, [*catalogue.columns])
