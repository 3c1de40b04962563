"""What was found in folders and videos, kept so that it is not looked for again."""

import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.folder_listing import Listing, Names, list_clips
from vip_offline.pretraining.clips.video_clips import Stamps, stamps_of
from vip_offline.utils.files import whole_file

INDEX_VERSION = 4  # since then names that are no series stand as they are
# what numpy raises for an archive that is damaged, depending on where
DAMAGED_INDEX = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

FileState = tuple[int, int]  # mtime in ns, bytes


class Index:
    """Cache of folder listings and video time stamps, keyed by path, size and time.

    Args:
        path: of the npz, which need not be there; None: everything is looked for.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # records as JSON: as objects those of a folder take several times the memory
        self._before: dict[str, tuple[FileState, str]] = {} if path is None else _load(path)
        self._now: dict[str, tuple[FileState, str]] = {}

    def listing(self, folder: str, mtime: int) -> Listing:
        """See `list_clips`; a folder's time changes with the names in it."""
        state = (mtime, 0)
        record = self._known(folder, state)
        if record is None:
            listing = list_clips(folder)
            described = listing.pictures and asdict(listing.pictures)
            self._keep(folder, state, json.dumps([listing.folders, listing.videos, described]))
            return listing
        folders, videos, pictures = record
        if pictures is not None:
            pictures = Names(**{**pictures, "listed": tuple(pictures["listed"])})
        return Listing(tuple(folders), tuple(videos), pictures)

    def stamps(self, video: str) -> Stamps:
        """See `stamps_of`."""
        try:
            status = Path(video).stat()
        except OSError:
            return stamps_of(video)  # which says what is wrong
        state = (status.st_mtime_ns, status.st_size)
        record = self._known(video, state)
        if record is None:
            stamps = stamps_of(video)
            listed = None if stamps.listed is None else stamps.listed.tolist()
            self._keep(video, state, json.dumps({**asdict(stamps), "listed": listed}))
            return stamps
        listed = record["listed"]
        return Stamps(
            **{**record, "listed": None if listed is None else np.array(listed, np.int64)}
        )

    def _known(self, path: str, state: FileState) -> Any:
        record = self._before.get(path)
        if record is None or record[0] != state:
            return None
        self._keep(path, *record)
        return json.loads(record[1])

    def _keep(self, path: str, state: FileState, record: str) -> None:
        if self._path is not None:
            self._now[path] = state, record

    def save(self) -> None:
        """Write the cache if it changed."""
        if self._path is None or self._now == self._before:
            return
        # threads keep them in any order
        text = json.dumps([(path, self._now[path][1]) for path in sorted(self._now)])
        states = np.array([self._now[path][0] for path in sorted(self._now)], np.int64)
        try:
            with whole_file(self._path) as partial, partial.open("wb") as file:
                np.savez_compressed(
                    file,
                    version=INDEX_VERSION,
                    states=states.reshape(-1, 2),
                    found=np.frombuffer(text.encode(), np.uint8),
                )
        except OSError as error:
            raise VipOfflineError(
                f"{self._path}: what was found among the clips cannot be kept there "
                f"({error.strerror or error}). Make room or the folder writable, or name another."
            ) from error


def _load(path: Path) -> dict[str, tuple[FileState, str]]:
    """Read the cache of an earlier run; empty if it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if int(archive["version"]) != INDEX_VERSION:
                return {}
            records = json.loads(archive["found"].tobytes())
            states = archive["states"].tolist()
        return {
            name: ((mtime, size), record)
            for (name, record), (mtime, size) in zip(records, states, strict=True)
        }
    except DAMAGED_INDEX:
        return {}
