from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.options import ImportOptions

FRAMES = (20 + 18 * np.arange(12, dtype=np.uint8))[:, None, None].repeat(24, 1).repeat(32, 2)
FRAMES[:, :8, :8] = 250  # at the top left
RGB = FRAMES[..., None].repeat(3, -1)


def imported(folder: Path, name: Callable[[int], str], frames: NDArray[Any], **options: Any) -> Any:
    """(T, H, W, 3) that the store holds, and the notes of the import."""
    pictures = folder / "demos/ep0/front"
    pictures.mkdir(parents=True)
    np.savez(folder / "demos/ep0/robot.npz", action=np.zeros((len(frames), 2), np.float32))
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(pictures / name(index), **options)
    result = import_source(FolderSource(folder / "demos"), folder / "store.zarr", ImportOptions())
    return open_store(folder / "store.zarr").frames("front", 0, len(frames)), result.notes


@pytest.mark.parametrize(
    "name",
    [
        lambda index: f"frame_{index}.png",
        lambda index: f"{9.6 + index / 20:g}.png",
        lambda index: f"{index:03d}.webp",
        lambda index: f"{index}.TIFF",
        lambda index: f"{index}.bmp",
        lambda index: f"{index}.ppm",
    ],
)
def test_pictures_come_in_their_order(tmp_path: Path, name: Callable[[int], str]) -> None:
    frames, notes = imported(tmp_path, name, RGB, lossless=True)
    np.testing.assert_array_equal(frames, RGB)
    assert not notes


def test_what_a_mac_leaves_behind_is_no_picture(tmp_path: Path) -> None:
    front = tmp_path / "demos/ep0/front"
    front.mkdir(parents=True)
    (front / "._000.png").write_bytes(b"Mac OS X")
    Image.fromarray(RGB[0]).save(front / "000.png")
    assert FolderSource(tmp_path / "demos").catalogue().lengths.tolist() == [1]


def test_pictures_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.rot90(RGB, 1, (1, 2))
    frames, _ = imported(tmp_path, lambda index: f"{index}.png", stored, exif=exif)
    np.testing.assert_array_equal(frames, RGB)


def test_sixteen_bits_are_scaled_and_it_is_said_once(tmp_path: Path) -> None:
    frames, notes = imported(tmp_path, "{}.png".format, FRAMES.astype(np.uint16) * 257)
    np.testing.assert_array_equal(frames, RGB)
    assert len(notes) == 1 and "camera front: 16 bits per pixel" in notes[0]
