"""A source that turns every library error into a `VipOfflineError`."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    EpisodeColumns,
    Source,
    VideoSpan,
)
from vip_offline.dataset.tables.resampling import Series
from vip_offline.errors import VipOfflineError

SURROGATE = re.compile("[\ud800-\udfff]")  # what stands for bytes that are no UTF-8


@contextmanager
def readable_errors(where: str, way_out: str) -> Iterator[None]:
    """Turn what a library raises on damaged data into a `VipOfflineError`.

    h5py, zarr, numcodecs, pyarrow, zipfile, json and Minari raise whatever their lowest layer
    raises, down to OverflowError and RecursionError: no list of them is complete. MemoryError is
    among them, since a damaged or hostile file asks for any size.
    """
    try:
        yield
    except VipOfflineError:
        raise
    except MemoryError as error:
        raise VipOfflineError(
            f"{where}: needs more memory than there is ({_brief(error)}). If its size is right, "
            f"use a machine with more. {way_out}"
        ) from error
    except Exception as error:
        raise VipOfflineError(
            f"{where}: cannot be read ({type(error).__name__}: {_brief(error)}). {way_out}"
        ) from error


def _brief(error: BaseException) -> str:
    """The text of an error on one line."""
    return " ".join(str(error).split())[:300] or "no reason given"


class GuardedSource:
    """Opens a source, and converts its errors.

    Raises:
        VipOfflineError: if it cannot be opened.
    """

    def __init__(self, path: Path, make: Callable[[Path], Source]) -> None:
        with readable_errors(str(path), "Restore it."):
            self._source = make(path)
        self.path = self._source.path
        self._columns: Mapping[str, Column] = {}

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        with readable_errors(str(self.path), "Its description is damaged. Restore it."):
            catalogue = self._source.catalogue()
        for name in (*catalogue.names, *catalogue.columns):
            if SURROGATE.search(name):
                raise VipOfflineError(
                    f"{self.path}: {name!r} is a name that is not UTF-8, which no store can hold. "
                    "Rename it."
                )
        self._columns = catalogue.columns
        return catalogue

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        way_out = "Restore the data set, or leave such episodes out with --skip-broken."
        where = f"{self.path}, episode {episode}"
        with readable_errors(where, way_out):
            rows = self._source.read(episode, columns)
        for name, values in rows.columns.items():
            if not isinstance(values, VideoSpan | Series) and name in self._columns:
                problem = _unlike(values, self._columns[name])
                if problem:
                    raise VipOfflineError(f"{where}: column {name!r} {problem}. {way_out}")
        return rows

    def close(self) -> None:
        """See `Source.close`."""
        self._source.close()


def _unlike(values: Any, column: Column) -> str:
    """How an episode's array differs from what the catalogue says; "" if it does not.

    Pictures may differ in size: they can be drawn at one.
    """
    if not isinstance(values, np.ndarray) or not values.ndim:
        return "holds one value, not one per row"
    if values.dtype.kind not in "biuf":
        return f"is {values.dtype} here, {column.dtype} in other episodes"
    if column.kind == "numbers" and values.shape[1:] != column.shape:
        return f"has {values.shape[1:]} numbers per row here, {column.shape} in other episodes"
    return ""
