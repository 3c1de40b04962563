"""Clips of any kind, behind one face."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.tables.file_listing import VIDEO_SUFFIXES
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.clip import Clips, FrameClip, check_skipped
from vip_offline.pretraining.clips.discover import (
    STORE,
    Candidate,
    in_folder,
    in_store,
    video_candidate,
)
from vip_offline.pretraining.clips.index import Index
from vip_offline.pretraining.clips.manifest import MANIFEST_NAME, in_manifest
from vip_offline.pretraining.clips.video_clips import Decoders
from vip_offline.utils.console import Advance
from vip_offline.utils.parallel import threaded_map

FINGERPRINT_BYTES = 16  # bytes of the fingerprint
READING_THREADS = 4  # that wait for the disk
CANDIDATES_AT_ONCE = 64  # clips that a thread looks at in one go


@dataclass(eq=False)
class OpenClips:
    """Implements `Clips`: frames are read from where they are."""

    clips: Sequence[FrameClip]
    groups: NDArray[np.int64]
    takes: NDArray[np.int64]
    group_names: tuple[str, ...]
    skipped: tuple[str, ...]
    fingerprint: str

    def __post_init__(self) -> None:
        self.lengths = np.array([clip.length for clip in self.clips], np.int64)

    def name(self, clip: int) -> str:
        """See `Clips.name`."""
        return self.clips[clip].name

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""
        return self.clips[clip].read(rows)


def open_clips(
    paths: Sequence[Path],
    *,
    camera: str = "",
    max_skipped: float = 0.01,
    index: Path | None = None,
    advance: Advance = lambda amount=0, total=None: None,
) -> Clips:
    """Find clips: folders are listed and video time stamps read, but no frame is decoded.

    Args:
        paths: each a folder of clips however deep (a folder of pictures, a video, a store), a
            store, a video, a manifest as Ego4D's or the folder it lies in.
        camera: of stores; all of them if none is named.
        max_skipped: share of the clips that may be left out since they cannot be used.
        index: npz in which it is kept what was found; None: nowhere.
        advance: told the clips that were found in total, then those that were looked at.

    Raises:
        VipOfflineError: if a path holds no clip, or more than that share cannot be used.

    The fingerprint is of names below the paths, lengths, and of stores and videos the content; of
    folders of pictures the time at which a name in them last changed, and of a manifest's clips
    size and time of the first and last frame: a picture that is overwritten in its place goes
    unnoticed.
    """
    known, decoders = Index(index), Decoders()
    candidates: list[tuple[Path, Candidate]] = []
    for path in paths:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links keep their names
        if any(absolute == folder for folder, _ in candidates):
            raise VipOfflineError(f"{path}: is given twice. Name it once.")
        before = len(candidates)
        candidates.extend(
            (absolute, candidate) for candidate in _candidates(absolute, camera, known, decoders)
        )
        if len(candidates) == before:
            raise VipOfflineError(
                f"{path}: holds no clip. Clips are folders of pictures, videos "
                f"({', '.join(VIDEO_SUFFIXES)}), stores (*{STORE}) or the lines of a "
                f"{MANIFEST_NAME}."
            )
    if not candidates:
        raise VipOfflineError("No clips given. Name a folder of clips, a store or a manifest.")
    if camera and not any(candidate.of_store for _, candidate in candidates):
        raise VipOfflineError(f"--camera {camera}: only stores have cameras, and none is given.")
    _check_twice(candidates)
    advance(total=len(candidates))
    clips, places, skipped = [], [], []
    digest = hashlib.blake2b(digest_size=FINGERPRINT_BYTES)
    for place, clip in enumerate(_opened([candidate for _, candidate in candidates], advance)):
        if isinstance(clip, str):
            skipped.append(clip)
            continue
        clips.append(clip)
        places.append(place)
        description = (candidates[place][1].key, clip.length, clip.identity)
        digest.update(repr(description).encode())
    known.save()
    check_skipped(skipped, len(candidates), max_skipped)
    if not clips:
        listed = "".join(f"\n  {reason}" for reason in skipped[:1])
        raise VipOfflineError(
            f"None of the {len(candidates)} clips can be used. The first:{listed}"
        )
    used = [candidates[place] for place in places]
    groups, names = _groups(used)
    takes = _takes([candidate for _, candidate in used])
    return OpenClips(clips, groups, takes, names, tuple(skipped), digest.hexdigest())


def _candidates(path: Path, camera: str, index: Index, decoders: Decoders) -> Iterator[Candidate]:
    if not path.exists():
        raise VipOfflineError(f"{path}: is not there. Name a folder of clips, a store or a video.")
    if path.is_dir():
        if path.name.endswith(STORE) or (path / "zarr.json").exists():
            return in_store(path, camera)
        if (path / MANIFEST_NAME).is_file():
            return in_manifest(path / MANIFEST_NAME)
        return in_folder(path, camera, index, decoders)
    if path.suffix.lower() == ".csv":
        return in_manifest(path)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return iter([video_candidate(path, (), index, decoders)])
    raise VipOfflineError(
        f"{path}: is no kind of file that holds clips. Name a video ({', '.join(VIDEO_SUFFIXES)}), "
        "a manifest (.csv), a store or a folder."
    )


def _check_twice(candidates: Sequence[tuple[Path, Candidate]]) -> None:
    """Refuse paths that contain each other: their clips would be drawn twice as often."""
    owners: dict[str, Path] = {}
    for path, candidate in candidates:
        if owners.setdefault(candidate.where, path) != path:
            raise VipOfflineError(
                f"{candidate.where}: is in {owners[candidate.where]} as well as in {path}. Name it "
                "once."
            )


def _opened(candidates: Sequence[Candidate], advance: Advance) -> Iterator[FrameClip | str]:
    """Each clip, or why it cannot be used."""

    def some(batch: Sequence[Candidate]) -> list[FrameClip | str]:
        return [_opened_or_why(candidate) for candidate in batch]

    batches = [
        candidates[at : at + CANDIDATES_AT_ONCE]
        for at in range(0, len(candidates), CANDIDATES_AT_ONCE)
    ]
    for results in threaded_map(some, batches, READING_THREADS):
        yield from results
        advance(len(results))


def _opened_or_why(candidate: Candidate) -> FrameClip | str:
    try:
        return candidate.opened()
    except VipOfflineError as error:
        return str(error)


def _groups(
    candidates: Sequence[tuple[Path, Candidate]],
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(C,) group of each clip, and the groups' names; a name under two paths is told by them."""
    numbers: dict[tuple[Path, str], int] = {}
    groups = [
        numbers.setdefault((path, candidate.group), len(numbers)) for path, candidate in candidates
    ]
    times = Counter(name for _, name in numbers)
    return np.array(groups, np.int64), tuple(
        name if times[name] == 1 else f"{name} ({path})" for path, name in numbers
    )


def _takes(candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """(C,) take of each clip."""
    numbers: dict[str, int] = {}
    takes = [
        numbers.setdefault(candidate.take or candidate.where, len(numbers))
        for candidate in candidates
    ]
    return np.array(takes, np.int64)
