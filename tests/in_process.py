"""The program without a process of its own, for what a command prints and refuses."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from vip_offline.cli import app
from vip_offline.utils.program_end import REFUSED, exit_code_of


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | str | None
    stdout: str
    stderr: str


def invoke(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Ended:
    """Run a command to its end, with the messages that a user sees."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        patch.dict(os.environ, environment),
        patch.object(sys, "argv", ["vip-offline", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = exit_code_of(partial(app, [*map(str, arguments)]))
    return Ended(code, out.getvalue(), err.getvalue())


def refusal(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """The message of a command that must end in one, with exit code 2."""
    ended = invoke(*arguments, cwd=cwd, **environment)
    assert ended.code == REFUSED, ended
    assert ended.stderr.startswith(("error: ", "Usage: ")), ended
    return ended.stderr
