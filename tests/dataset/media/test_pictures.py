import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_pictures import pictures
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.media.pictures import (
    is_sixteen_bit,
    not_a_view,
    picture_shape,
    pictures_shape,
    read_picture,
    rgb,
)
from vip_offline.errors import VipOfflineError

HEIGHT, WIDTH = 24, 40
FRAME = pictures(1, HEIGHT, WIDTH)[0]
GREY = FRAME[..., 0]
GREY_RGB = np.repeat(GREY[..., None], 3, axis=-1)
# by EXIF: how the stored picture is turned so that it is upright
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def test_every_way_in_gives_the_same_picture(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    files = {
        "rgb.png": Image.fromarray(FRAME),
        "rgba.png": Image.fromarray(np.dstack([FRAME, GREY])),
        "rgb.webp": Image.fromarray(FRAME),
        "rgb.bmp": Image.fromarray(FRAME),
        "rgb.tif": Image.fromarray(FRAME),
        "rgb.ppm": Image.fromarray(FRAME),
        "grey.png": Image.fromarray(GREY),
        "grey.pgm": Image.fromarray(GREY),
        "la.png": Image.fromarray(np.dstack([GREY, GREY[::-1]]), "LA"),
        "palette.png": Image.fromarray(GREY).convert("P"),
        "deep.png": Image.fromarray(deep),
        "deep.tif": Image.fromarray(deep),
        "deep.pgm": Image.fromarray(deep),
    }
    for name, picture in files.items():
        path = tmp_path / name
        picture.save(path, lossless=True)
        expected = FRAME if name.startswith("rgb") else GREY_RGB
        np.testing.assert_array_equal(read_picture(path), expected, name)
        np.testing.assert_array_equal(read_picture(path.read_bytes()), expected, name)
        assert picture_shape(path) == (HEIGHT, WIDTH, 3)
        assert is_sixteen_bit(path) == name.startswith("deep")
    arrays: list[tuple[NDArray[np.generic], NDArray[np.uint8]]] = [
        (FRAME, FRAME),
        (np.dstack([FRAME, GREY]), FRAME),
        (FRAME.transpose(2, 0, 1), FRAME),
        (FRAME.astype(np.float32), FRAME),
        (FRAME.astype(np.int64), FRAME),
        (FRAME.astype(np.uint16) * 257, FRAME),
        (GREY, GREY_RGB),
        (GREY[..., None], GREY_RGB),
        (GREY[None], GREY_RGB),
        (deep, GREY_RGB),
    ]
    for array, expected in arrays:
        assert pictures_shape(array.shape, array.dtype) == (HEIGHT, WIDTH, 3), array.shape
        both = rgb(np.stack([array, array]), "here")
        assert both.flags.c_contiguous and both.dtype == np.uint8
        np.testing.assert_array_equal(both, np.stack([expected, expected]))


def test_sixteen_bits_of_colour_become_what_those_of_an_array_do(tmp_path: Path) -> None:
    import av

    deep = FRAME.astype(np.uint16) * 251 + 77  # no multiple of 257
    with av.open(str(tmp_path / "deep.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb48be"
        for packet in stream.encode(av.VideoFrame.from_ndarray(deep, format="rgb48be")):
            container.mux(packet)
        container.mux(stream.encode())
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png"), rgb(deep[None], "")[0])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "tiff"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_is_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, Any]] = {
        "webp": {"lossless": True},
        "jpg": {"quality": 95, "subsampling": 0},
        "tiff": {"compression": "tiff_lzw"},
    }
    Image.fromarray(FRAME).save(path, exif=exif, **options.get(suffix, {}))
    upright = UPRIGHT[orientation](FRAME)
    picture = read_picture(path)
    assert picture_shape(path) == picture.shape == upright.shape
    assert np.abs(picture.astype(int) - upright).max() <= (16 if suffix == "jpg" else 0)


def test_an_orientation_behind_the_pixels_counts_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(FRAME).save(file, "png", exif=exif)
    data = file.getvalue()
    start = data.index(b"eXIf") - 4
    size = 12 + int.from_bytes(data[start : start + 4], "big")
    end = data.index(b"IEND") - 4
    moved = data[:start] + data[start + size : end] + data[start : start + size] + data[end:]
    assert picture_shape(moved) == read_picture(moved).shape == (WIDTH, HEIGHT, 3)


def test_palettes_with_alpha_and_single_bits(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY).convert("P")
    picture.save(tmp_path / "p.png", transparency=bytes(range(256)))
    np.testing.assert_array_equal(read_picture(tmp_path / "p.png"), GREY_RGB)
    Image.fromarray(GREY > 127).save(tmp_path / "1.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "1.png"), np.where(GREY_RGB > 127, np.uint8(255), np.uint8(0))
    )
    Image.fromarray(FRAME).convert("CMYK").save(tmp_path / "c.jpg", quality=95)
    assert np.abs(read_picture(tmp_path / "c.jpg").astype(int) - FRAME).mean() < 4


def test_twelve_bits_of_a_tiff_are_scaled_by_what_it_says(tmp_path: Path) -> None:
    packed = bytearray()
    for left, right in (GREY.astype(int) << 4).reshape(-1, 2):
        packed += int(left << 12 | right).to_bytes(3, "big")
    path = tmp_path / "a.tif"
    tags = {258: 12, 259: 1, 262: 1, 277: 1, 278: HEIGHT, 256: WIDTH, 257: HEIGHT, 279: len(packed)}
    tags[273] = 8 + 2 + 12 * 9 + 4
    body = b"".join(
        tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
        for tag, value in sorted(tags.items())
    )
    path.write_bytes(b"II*\0\x08\0\0\0\x09\0" + body + bytes(4) + bytes(packed))
    np.testing.assert_array_equal(read_picture(path), GREY_RGB)


def test_pictures_of_unknown_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.float32) / 255).save(tmp_path / "f.tif")
    with pytest.raises(VipOfflineError, match=r"f\.tif: has pixels of mode F, whose scale"):
        read_picture(tmp_path / "f.tif")
    Image.fromarray(GREY.astype(np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(VipOfflineError, match=r"i\.tif: has pixels of mode I,"):
        read_picture(tmp_path / "i.tif")
    first = Image.fromarray(FRAME)
    first.save(tmp_path / "two.tif", save_all=True, append_images=[first])
    with pytest.raises(VipOfflineError, match=r"two\.tif: holds 2 pictures"):
        read_picture(tmp_path / "two.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "ppm"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.97])
def test_a_damaged_picture_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pictures(1)[0]).save(path)
    data = path.read_bytes()[: int(path.stat().st_size * share)]
    path.write_bytes(data)
    with pytest.raises(VipOfflineError, match=rf"a\.{suffix}: is no picture that can be read"):
        read_picture(path)
    with pytest.raises(VipOfflineError, match="row 3: is no picture that can be read"):
        read_picture(data, "row 3")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "ppm"])
def test_whichever_byte_changed_there_is_a_picture_or_a_message(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(FRAME).save(path, exif=exif)
    whole, refused = path.read_bytes(), 0
    for place in range(min(len(whole), 600)):
        for flipped in (0xFF, 0x01):
            data = whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :]
            for function in (read_picture, picture_shape):
                try:
                    function(data)
                except VipOfflineError:
                    refused += 1
    assert refused > 3


def test_a_picture_that_is_gone_or_a_bomb(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"a\.png: is gone"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "b.ppm").write_bytes(b"P6 60000 60000 255\n")
    with pytest.raises(VipOfflineError, match=r"b\.ppm: has 3,600,000,000 pixels; at most"):
        read_picture(tmp_path / "b.ppm")
    (tmp_path / "c.ppm").write_bytes(b"P6 10000 8000 255\n")
    for function in (read_picture, picture_shape):
        with pytest.raises(VipOfflineError, match=r"c\.ppm: is 10000 x 8000 px; at most"):
            function(tmp_path / "c.ppm")
    os.mkfifo(tmp_path / "d.png")
    with pytest.raises(VipOfflineError, match=r"d\.png: is a FIFO"):
        read_picture(tmp_path / "d.png")


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (FRAME.astype(np.float32) / 255, r"front is float32 and, in row 1, not of whole numbers"),
        (FRAME.astype(np.int16) - 300, "in row 0, not of whole"),
        (np.where(FRAME > 9, np.nan, 0.0), "not of whole"),
        ((FRAME > 127).astype(np.float32), "float32 of 0 and 1 alone"),
        (FRAME > 127, "front: is bool, a mask"),
        (FRAME[..., :2], r"front: has shape \(2, 24, 40, 2\), which is none of pictures"),
    ],
)
def test_arrays_that_are_refused(array: NDArray[np.generic], part: str) -> None:
    both = np.stack([array, array])
    if both.dtype == np.float32 and "row 1" in part:
        both[0] = 0
    with pytest.raises(VipOfflineError, match=part):
        rgb(both, "front")


def test_black_floats_are_black() -> None:
    assert not rgb(np.zeros((2, 16, 16, 3), np.float32), "").any()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((7, 7), "float64"),
        ((7, 7), "uint8"),
        ((64, 64), "float32"),
        ((64, 64, 1), "float32"),
        ((64, 64, 1), "int32"),
        ((64, 64, 3), "bool"),
        ((6, 3, 3), "float64"),
        ((64, 64, 2), "uint8"),
        ((2, 64, 64, 3), "uint8"),
        ((3,), "uint8"),
        ((0, 0, 3), "uint8"),
    ],
)
def test_arrays_that_are_no_pictures(shape: tuple[int, ...], dtype: str) -> None:
    assert pictures_shape(shape, dtype) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("front_depth", "depth"),
        ("camera0_depth", "depth"),
        ("obs/agentview_segmentation", "segmentation"),
        ("wrist.seg", "segmentation"),
        ("frontMask", "mask"),
        ("DEPTH_0", "depth"),
        ("aligned_depth_to_color", "depth"),
    ],
)
def test_names_of_what_is_no_view(name: str, part: str) -> None:
    assert part in not_a_view(name)


@pytest.mark.parametrize("name", ["front", "in", "segway", "masked_man", "obs/deep", ""])
def test_names_of_views(name: str) -> None:
    assert not_a_view(name) == ""


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(60_000, 1_400), (60_000, 60_000)])
def test_a_size_that_would_fill_the_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "wide.png"
    Image.new("1", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = b"".join(side.to_bytes(4) for side in size)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    path.write_bytes(data)
    with pytest.raises(VipOfflineError, match=r"wide.png: .*(pixels|px); at most"):
        read_picture(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "goal.png")
    with pytest.raises(VipOfflineError, match=r"goal.png: is a FIFO"):
        read_picture(tmp_path / "goal.png")
