"""The one error that a user is meant to read."""

import difflib
from collections.abc import Iterable


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
