"""Converts pictures in any file or array to upright uint8 RGB.

A picture comes out the same, whichever way it came in. What is done to it:

- it is turned as its EXIF orientation says;
- 16 bits become 8 by their full scale: 65535 is 255 (`v >> 8`, as libpng and Pillow do);
- grey is repeated three times, a palette looked up, alpha dropped: what is under it is what was
  stored, while laying it on a colour would invent that colour;
- numbers of which nothing says the scale are refused: floats unless all are whole, 0 to 255.
"""

import contextlib
import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import FRAME_PIXELS, require_pixels

# what Pillow raises for files that are damaged, depending on their kind and on where
DECODING_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError),
    *(struct.error, zlib.error, Warning, RecursionError, MemoryError),
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")
# 32-bit integers, by which Pillow gives 16-bit grey of these formats
AS_INTEGERS = ("PNG", "PPM")
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
BITS_PER_SAMPLE = 258  # tag of TIFF

CHANNELS = (1, 3, 4)
SMALLEST = 16  # px of a side, from which on an array may be of pictures: a Jacobian is smaller

NO_VIEW = {
    "depth": "depth is no view: its values are distances, not colours",
    "disparity": "disparity is no view: its values are shifts, not colours",
    "normals": "normals are no view: their values are directions, not colours",
    "mask": "a mask is no view: its values say what belongs to it",
    "segmentation": "a segmentation is no view: its values are numbers of objects, not colours",
}
SYNONYMS = {
    "depths": "depth",
    "depthmap": "depth",
    "masks": "mask",
    "seg": "segmentation",
    "segmentations": "segmentation",
}
WHOLE = re.compile(r"[0-9]+")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def read_picture(source: Path | bytes, where: str = "") -> NDArray[np.uint8]:
    """Decode a file, or what one holds, to (H, W, 3) uint8 RGB, upright.

    Raises:
        VipOfflineError: if it is not there, damaged, not one picture, or of unknown scale. It
            names `where`, or else the file.
    """
    where = where or str(source if isinstance(source, Path) else "a picture")
    with _opened(source, where) as picture:
        picture.load()
        # not the PNG reader's own: it loads once more
        if Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1) != 1:
            ImageOps.exif_transpose(picture, in_place=True)
        if _is_sixteen_bit(picture):
            bits = int(getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0])
            grey = (np.asarray(picture).astype(np.uint16) >> (bits - 8)).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=-1)
        if picture.mode not in EIGHT_BIT:
            raise VipOfflineError(
                f"{where}: has pixels of mode {picture.mode}, whose scale nothing tells. Save it "
                "again as an 8-bit PNG, with 0 for black and 255 for white."
            )
        picture.info.pop("transparency", None)  # alpha, which would be asked about
        if picture.mode in ("La", "RGBa"):  # multiplied by alpha
            picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def picture_shape(source: Path | bytes) -> tuple[int, int, int]:
    """(H, W, 3) that `read_picture` gives, found without decoding.

    Raises:
        VipOfflineError: if it is not there, or its beginning is damaged.
    """
    with _opened(source) as picture:
        width, height = picture.size
        if picture.format == "TIFF":  # Pillow gives its size upright, and keeps the tag
            stored = picture.tag_v2.get(256), picture.tag_v2.get(257)  # type: ignore[attr-defined]
            width, height = stored
        if picture.format == "PNG" and "exif" not in picture.info:
            data = source if isinstance(source, bytes) else source.read_bytes()
            if b"eXIf" in data:  # it may stand behind the pixels
                picture.load()
        turned = Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        return (width, height, 3) if turned else (height, width, 3)


def is_sixteen_bit(path: Path) -> bool:
    """Whether a picture is grey of 16 bits, which may be depth.

    Raises:
        VipOfflineError: as `picture_shape`.
    """
    with _opened(path) as picture:
        return _is_sixteen_bit(picture)


def sixteen_bit_note(camera: str) -> str:
    """A note on a camera whose pictures have 16 bits."""
    return (
        f"camera {camera}: 16 bits per pixel, of which 65535 becomes 255; if they are depth in mm, "
        "they are no view: leave the camera out"
    )


def rgb(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """(T, H, W, 3) uint8 pictures of an array.

    It is (T, H, W, C) or (T, C, H, W) of C = 1, 3 or 4, or (T, H, W).

    Raises:
        VipOfflineError: if they have another shape, are masks, or of unknown scale.
    """
    values = array[..., None] if array.ndim == 3 else array
    if values.ndim == 4 and values.shape[-1] not in CHANNELS and values.shape[1] in CHANNELS:
        values = np.moveaxis(values, 1, -1)
    if values.ndim != 4 or values.shape[-1] not in CHANNELS:
        raise VipOfflineError(
            f"{where}: has shape {array.shape}, which is none of pictures. Give (T, H, W, 3), "
            "(T, 3, H, W) or (T, H, W)."
        )
    eight = _eight_bit(values[..., :3], where)
    if eight.shape[-1] == 1:
        eight = np.repeat(eight, 3, axis=-1)
    return np.ascontiguousarray(eight)


def pictures_shape(shape: tuple[int, ...], dtype: Any) -> tuple[int, int, int] | None:
    """(H, W, 3) that `rgb` makes of each row of an array; None: its rows are no pictures.

    The shape is of one row. Grey of floats, or of integers of more than 16 bits, is depth, a mask,
    a matrix.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "uif":
        return None
    if len(shape) == 2:
        height, width, channels = *shape, 1
    elif len(shape) == 3 and shape[-1] in CHANNELS:
        height, width, channels = shape
        if channels == 3 and kind == np.uint8 and min(shape) > 0:
            return height, width, 3
    elif len(shape) == 3 and shape[0] in CHANNELS:
        channels, height, width = shape
    else:
        return None
    if min(height, width) < SMALLEST or (channels == 1 and kind not in (np.uint8, np.uint16)):
        return None
    return height, width, 3


def not_a_view(name: str) -> str:
    """Why pictures of this name are no camera view (depth, mask); "" if they may be one.

    Known by whole words: ``camera0_depth``, ``obs/agentview_segmentation``, ``frontMask``.
    """
    words = (word.lower() for word in WORD.findall(name))
    return next((NO_VIEW[w] for w in (SYNONYMS.get(w, w) for w in words) if w in NO_VIEW), "")


def _eight_bit(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    if values.dtype.kind not in "uif":
        reason = "a mask, not pictures" if values.dtype == bool else "no numbers of pixels"
        raise VipOfflineError(f"{where}: is {values.dtype}, {reason}. Leave it out.")
    with np.errstate(invalid="ignore"):  # NaN, and what is beyond: it differs below
        whole = values.astype(np.uint8)
    if (whole != values).any():
        row = int(np.argmax((whole != values).reshape(len(whole), -1).any(axis=1)))
        raise VipOfflineError(
            f"{where} is {values.dtype} and, in row {row}, not of whole numbers from 0 to 255, "
            "so the scale of its pixels is unknown. Convert it to uint8."
        )
    if values.dtype.kind == "f" and whole.max(initial=0) == 1:
        raise VipOfflineError(
            f"{where} is {values.dtype} of 0 and 1 alone, so the scale of its pixels is unknown. "
            "Convert it to uint8."
        )
    return whole


def _is_sixteen_bit(picture: Image.Image) -> bool:
    return picture.mode in SIXTEEN_BIT or (picture.mode == "I" and picture.format in AS_INTEGERS)


@contextlib.contextmanager
def _opened(source: Path | bytes, where: str = "") -> Iterator[Image.Image]:
    where = where or str(source if isinstance(source, Path) else "a picture")
    file = io.BytesIO(source) if isinstance(source, bytes) else require_regular(source)
    try:
        with Image.open(file) as picture:
            require_pixels(where, picture.height, picture.width)
            count = getattr(picture, "n_frames", 1)
            if count > 1 and picture.format != "MPO":  # of a phone: the others are previews
                raise VipOfflineError(
                    f"{where}: holds {count} pictures, where one is meant. Save each to a file of "
                    "its own, or all as a video."
                )
            yield picture
    except FileNotFoundError:
        raise VipOfflineError(f"{where}: is gone. Restore it.") from None
    except BOMBS as error:  # Pillow's own limit, in the order of `FRAME_PIXELS`
        pixels = WHOLE.search(str(error))
        count = int(pixels[0]) if pixels else 0
        raise VipOfflineError(
            f"{where}: has {count:,} pixels; at most {FRAME_PIXELS:,} are read. Draw it smaller, "
            "or leave it out."
        ) from error
    except DECODING_ERRORS as error:
        raise VipOfflineError(
            f"{where}: is no picture that can be read ({error}). Restore it, or leave it out."
        ) from error
