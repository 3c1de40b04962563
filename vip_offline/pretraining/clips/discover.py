"""What may be a clip, before it was looked at closely."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vip_offline.dataset.importers.link import store_of
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.clip import FrameClip, check_clip_length
from vip_offline.pretraining.clips.index import Index
from vip_offline.pretraining.clips.picture_folder import PictureClip
from vip_offline.pretraining.clips.store_clips import clips_of
from vip_offline.pretraining.clips.video_clips import Decoders, VideoClip

STORE = ".zarr"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that was found and not opened yet."""

    where: str  # full path, and what else tells it from others there
    key: str  # the same wherever the data are moved to
    group: str
    opened: Callable[[], FrameClip]  # VipOfflineError: it cannot be used
    take: str = ""  # the same for all that show one; empty: this alone does
    of_store: bool = False


def group_of(root: Path, parts: tuple[str, ...]) -> str:
    """Return the first folder under the root that holds the clip; the root if there is none."""
    return parts[0] if len(parts) > 1 else root.name


def in_store(path: Path, camera: str) -> Iterator[Candidate]:
    """Find the clips of a store: every camera of every episode."""
    path = store_of(path)
    group = path.name.removesuffix(STORE)
    for key, clip in clips_of(path, camera):
        opened = partial(_long_enough, clip)
        yield Candidate(clip.name, f"{group}/{key}", group, opened, clip.take, True)


def in_folder(root: Path, camera: str, index: Index, decoders: Decoders) -> Iterator[Candidate]:
    """Find folders of pictures, videos and stores, at any depth."""
    yield from _walk(root, (), frozenset(), camera, index, decoders)


def video_candidate(
    root: Path, parts: tuple[str, ...], index: Index, decoders: Decoders
) -> Candidate:
    """Return the candidate of one video under the root; without `parts` the root itself."""
    path = str(root.joinpath(*parts))

    def opened() -> FrameClip:
        return _long_enough(VideoClip(path, index.stamps(path), decoders))

    return Candidate(path, "/".join((root.name, *parts)), group_of(root, parts), opened)


def _walk(
    root: Path,
    parts: tuple[str, ...],
    above: frozenset[tuple[int, int]],
    camera: str,
    index: Index,
    decoders: Decoders,
) -> Iterator[Candidate]:
    folder = str(root.joinpath(*parts))
    key, group = "/".join((root.name, *parts)), group_of(root, parts)
    try:
        state = os.stat(folder)  # noqa: PTH116 - tens of thousands of them
        itself = state.st_dev, state.st_ino
        if itself in above:  # a link to a folder around it
            return
        listing = index.listing(folder, state.st_mtime_ns)
    except OSError as error:
        yield Candidate(folder, key, group, partial(_refuse, folder, error.strerror or str(error)))
        return
    if listing.pictures is not None:
        clip = PictureClip(folder, listing.pictures, str(state.st_mtime_ns))
        yield Candidate(folder, key, group, partial(_long_enough, clip))
    for name in listing.videos:
        yield video_candidate(root, (*parts, name), index, decoders)
    for name in listing.folders:
        inner = (*parts, name)
        if name.endswith(STORE):
            path = root.joinpath(*inner)
            # a replay buffer's frames are found through the store beside it
            if store_of(path) == path:
                yield from in_store(path, camera)
        else:
            yield from _walk(root, inner, above | {itself}, camera, index, decoders)


def _long_enough(clip: FrameClip) -> FrameClip:
    check_clip_length(clip.name, clip.length)
    return clip


def _refuse(folder: str, reason: str) -> FrameClip:
    raise VipOfflineError(f"{folder}: cannot be listed ({reason}).")
