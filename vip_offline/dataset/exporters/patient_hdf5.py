"""A file object for HDF5 that survives write errors: HDF5 crashes if a write fails on close."""

import io
from pathlib import Path
from typing import Any


class PatientFile(io.FileIO):
    """Keeps the first write error and reports success to HDF5, so that HDF5 can close the file.

    The end of the ``with`` block, or `check`, raises the error.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it, unless a write failed before."""
        view = memoryview(data).cast("B")
        done = 0
        while self._error is None and done < len(view):
            try:
                done += super().write(view[done:])
            except OSError as error:
                self._error = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut off or extend, unless a write failed before."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def check(self) -> None:
        """Raise the first write error, if there was one.

        Raises:
            OSError: as the system gave it.
        """
        if self._error is not None:
            raise self._error

    def __exit__(self, *error: object) -> None:
        self.close()
        self.check()
