"""What a file may claim: sizes are checked against what is on the disk before memory is asked for.

A size in a description costs its writer nothing: one line of JSON can claim more episodes than a
machine has memory for their numbers. Honest files are far from these limits.
"""

from collections.abc import Iterable
from pathlib import Path

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular

# the largest public collection of robot data has 2.4 million
MOST_EPISODES = 10_000_000
# bytes of text that describes data: a line of 150 bytes for each of a million episodes is 150 MB
MOST_DESCRIPTION_BYTES = 2**28
# bytes of what people write by hand: Python's reader of TOML takes a second for each MB
HANDWRITTEN = 2**20
# of one picture or frame, 8192 x 8192: cameras of robots have 2**23 at most, phones 2**26; 200 MB
FRAME_PIXELS = 2**26
# bytes of values that need nothing on the disk: zarr and HDF5 store no chunk that is all zeros
UNSTORED = 2**30
# bytes of values per byte on the disk: zstd makes 8 MB of one value into 300 bytes
EXPANSION = 100_000

CELL_BYTES = 8  # bytes of a number in a table


def require_stored(where: str, claimed: int, sizes: Iterable[int]) -> None:
    """Refuse arrays that claim far more bytes in memory than their files hold, by the files' sizes.

    Sizes are asked for only as far as it takes.

    Raises:
        VipOfflineError: names both sizes, and `where`: file and array.
    """
    if claimed <= UNSTORED:
        return
    stored = 0
    for size in sizes:
        stored += size
        if claimed <= EXPANSION * stored:
            return
    raise VipOfflineError(
        f"{where}: is said to hold {claimed:.3g} bytes, and {stored:.3g} are stored. Its "
        "description is wrong: restore it."
    )


def require_episodes(where: str, count: int) -> None:
    """Refuse more episodes than any data set has.

    Raises:
        VipOfflineError: names the count.
    """
    if not 0 <= count <= MOST_EPISODES:
        raise VipOfflineError(
            f"{where}: is said to hold {count:.3g} episodes; at most {MOST_EPISODES:,} are read. "
            "Restore its description, or divide the data set."
        )


def require_pixels(where: str, height: int, width: int) -> None:
    """Refuse a frame with more than `FRAME_PIXELS` pixels.

    Raises:
        VipOfflineError: names its size.
    """
    if height * width > FRAME_PIXELS:
        raise VipOfflineError(
            f"{where}: is {width} x {height} px; at most {FRAME_PIXELS:,} pixels are read. Draw it "
            "smaller, or leave it out."
        )


def read_description(path: Path, most: int = MOST_DESCRIPTION_BYTES) -> str:
    """Text that describes data: UTF-8, with or without a byte-order mark.

    Raises:
        VipOfflineError: if it is no regular file, or larger than `most` bytes.
        OSError: if it cannot be read.
        UnicodeDecodeError: if it is not UTF-8.
    """
    with require_regular(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise VipOfflineError(
            f"{path}: is longer than {most:,} bytes, which is no description. Restore it."
        )
    return content.decode("utf-8-sig")
