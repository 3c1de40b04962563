"""The one error that a user is meant to read."""

import contextlib
import difflib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ABOUT = "about: "  # begins the note that `naming` puts on an error


class VipOfflineError(Exception):
    """Something the user can put right: the message says what, where, and the way out.

    The command line prints it without a traceback and exits with code 2.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` where a known name is close, then all known names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Known: {', '.join(known)}."


def first_line(error: object) -> str:
    """The first line of an error's text; of one without a text its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong in the block was about this file or folder, if it names none itself."""
    try:
        yield
    except VipOfflineError:
        raise
    except Exception as error:
        error.add_note(f"{_ABOUT}{path}")
        raise


def about(error: BaseException) -> str:
    """The file that an error is about, as it says itself or as `naming` says; "" if neither."""
    if isinstance(error, OSError) and error.filename:
        both = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
        return " -> ".join(both)
    notes = (str(note) for note in getattr(error, "__notes__", ()))
    return next((note.removeprefix(_ABOUT) for note in notes if note.startswith(_ABOUT)), "")


def full_disk(error: BaseException | None) -> str:
    """Why an error is, or follows from, a full disk; "" if it does not.

    h5py and torch raise errors of their own, of which the system's is the context, or a part of
    the text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            return os.strerror(error.errno or 0)
        for code in NO_SPACE:
            if os.strerror(code).lower() in str(error).lower():
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return ""
