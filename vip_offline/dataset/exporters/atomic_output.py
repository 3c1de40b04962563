"""Output files and folders that are there complete, or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from vip_offline.errors import VipOfflineError, naming
from vip_offline.utils.files import flush, flush_all, hidden_beside, only_writer


@contextlib.contextmanager
def atomic_output(out: Path) -> Iterator[Path]:
    """A temporary path to write to; it is renamed to `out` when the block ends without an error.

    Other files that the block writes beside the temporary path are moved beside `out`, and replace
    files of the same names. The temporary path is in a hidden folder beside `out`, which is made,
    on the same file system. What a killed process left there is removed by the next process.

    Raises:
        VipOfflineError: if something is there, or another process is writing it.
    """
    _clear_away(hidden_beside(out, "partial"))
    _refuse_existing(out)
    # some writers change folders, and Minari resolves paths its own way
    shown, out = out, out.absolute()
    partial = hidden_beside(out, "partial")
    partial.mkdir(parents=True, exist_ok=True)
    with only_writer(partial):
        try:
            for leftover in partial.iterdir():
                _remove(leftover)
            with naming(shown):
                yield partial / out.name
            _flush(partial)
            _refuse_existing(out)  # renaming would replace a file that came in the meantime
            # what stands beside it comes first: a command that is killed here is run again
            for path in {*partial.iterdir()} - {partial / out.name}:
                path.replace(out.parent / path.name)
            (partial / out.name).rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        flush(out.parent)


def _clear_away(partial: Path) -> None:
    """Remove what a killed process left, unless another is at it."""
    if partial.is_dir():
        with contextlib.suppress(VipOfflineError), only_writer(partial):
            shutil.rmtree(partial, ignore_errors=True)


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise VipOfflineError(
            f"{out}: is there already, and nothing is overwritten. Remove it, or name another "
            "place."
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _flush(folder: Path) -> None:
    """Files and folders onto the disk: a renamed one could be empty after a power cut."""
    paths = (Path(where, name) for where, _, files in os.walk(folder) for name in [*files, "."])
    flush_all(path for path in paths if not path.is_symlink())
