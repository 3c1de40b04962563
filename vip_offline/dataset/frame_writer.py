"""Appends the frames of new episodes, or references to them, and their hashes."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.array_writer import ArrayWriter
from vip_offline.dataset.episode import Episode, VideoReference, ZarrReference
from vip_offline.dataset.storage.content_hash import HASH_KIND, content_of
from vip_offline.dataset.store_format import check_name
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import path_from


def append_frames(writer: ArrayWriter, episodes: Sequence[Episode], start: int, index: int) -> None:
    """Append the frames of all cameras, or references to them, and their hashes.

    Raises:
        VipOfflineError: if frames have another size than those before them.
    """
    first = episodes[0]
    for camera in (*first.frames, *first.clips, *first.links):
        check_name("camera", camera)
    for camera in first.frames:
        frames = [episode.frames[camera] for episode in episodes]
        _append_stored(writer, camera, frames, start, index)
    for camera in first.clips:
        _append_clips(writer, camera, [episode.clips[camera] for episode in episodes], start, index)
    for camera in first.links:
        _append_links(writer, camera, [episode.links[camera] for episode in episodes], start, index)


def _append_stored(
    writer: ArrayWriter, camera: str, frames: Sequence[NDArray[np.uint8]], start: int, index: int
) -> None:
    for part in frames:
        array = writer.require_array(f"data/frames_{camera}", part.shape[1:], np.uint8, 0, {})
        writer.put(array, start, part)
        start += len(part)
    _append_contents(writer, camera, [content_of(part) for part in frames], index)


def _append_clips(
    writer: ArrayWriter, camera: str, clips: Sequence[VideoReference], start: int, index: int
) -> None:
    shape = list(clips[0].shape)
    attributes = {"frame_shape": shape, "upright": True}
    stop = start + sum(len(clip) for clip in clips)
    pts = writer.require_array(f"data/pts_{camera}", (), np.int64, -1, attributes, stop)
    shape = cast("list[int]", pts.attrs["frame_shape"])
    for offset, clip in enumerate(clips):
        if clip.turned and not writer.upright(camera):
            raise VipOfflineError(
                f"{writer.path}, episode {index + offset}: the video of camera {camera} is shown "
                "turned, and the earlier release that began this store left frames as they "
                "are held. Import all of them into another store."
            )
        if list(clip.shape) != shape:
            raise VipOfflineError(
                f"{writer.path}, episode {index + offset}: frames of camera {camera} are "
                f"{list(clip.shape)}, those before {shape}. Give them one size with --resize."
            )
    writer.put(pts, start, np.concatenate([clip.pts for clip in clips]))
    writer.append_texts(f"video_{camera}", [str(clip.file) for clip in clips], index)
    sizes = np.array([clip.size for clip in clips], np.int64)
    writer.append_rows(f"meta/video_bytes_{camera}", index, sizes, -1, {})
    _append_contents(writer, camera, [clip.content for clip in clips], index)


def _append_links(
    writer: ArrayWriter, camera: str, links: Sequence[ZarrReference], start: int, index: int
) -> None:
    first = links[0]
    attributes = {
        "file": str(first.file.absolute()),
        "array": first.array,
        "frame_shape": list(first.shape),
        "file_from_store": path_from(writer.path, first.file),
    }
    rows = writer.require_array(f"data/rows_{camera}", (), np.int64, -1, attributes)
    parts = [np.arange(link.start, link.start + link.rows) for link in links]
    writer.put(rows, start, np.concatenate(parts))
    _append_contents(writer, camera, [link.content for link in links], index)


def _append_contents(
    writer: ArrayWriter, camera: str, contents: Sequence[NDArray[np.uint8]], index: int
) -> None:
    hashes = np.stack(contents)
    writer.append_rows(f"meta/content_{camera}", index, hashes, 0, {"hash": HASH_KIND})
