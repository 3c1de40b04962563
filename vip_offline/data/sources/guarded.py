"""A source whose every error is one that a user can read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vip_offline.data.sources.source import Catalogue, Rows, Source
from vip_offline.errors import VipOfflineError


@contextmanager
def readable_errors(where: str, way_out: str) -> Iterator[None]:
    """Turn what a library raises on damaged data into a `VipOfflineError`.

    h5py, zarr, numcodecs, pyarrow, zipfile, json and Minari raise whatever their lowest layer
    raises, down to OverflowError and RecursionError: no list of them is complete.

    Args:
        where: file, and episode if it is known.
        way_out: one or more sentences.
    """
    try:
        yield
    except (VipOfflineError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise VipOfflineError(
            f"{where}: cannot be read ({type(error).__name__}: {reason[:300]}). {way_out}"
        ) from error


class Guarded:
    """Any source, its errors made readable.

    Args:
        path: of the origin.
        make: opens it.

    Raises:
        VipOfflineError: if it cannot be opened.
    """

    def __init__(self, path: Path, make: Callable[[Path], Source]) -> None:
        with readable_errors(str(path), "Restore it."):
            self._source = make(path)
        self.path = self._source.path

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        with readable_errors(str(self.path), "Its description is damaged. Restore it."):
            return self._source.catalogue()

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        way_out = "Restore the data set, or leave such episodes out with --skip-broken."
        with readable_errors(f"{self.path}, episode {episode}", way_out):
            return self._source.read(episode, columns)

    def close(self) -> None:
        """See `Source.close`."""
        self._source.close()
