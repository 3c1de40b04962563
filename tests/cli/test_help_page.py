"""Help on a terminal of 80 columns."""

import re

import pytest
import typer.main
from typer.testing import CliRunner

from vip_offline.cli import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS |= {f"success {name}": command for name, command in COMMANDS["success"].commands.items()}


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_flag_is_whole(verb: str) -> None:
    result = CliRunner(env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).invoke(
        app, [*verb.split(), "--help"]
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    words = set(re.findall(r"--?[\w-]+", result.stdout))
    flags = {
        flag for param in COMMANDS[verb].params for flag in (*param.opts, *param.secondary_opts)
    }
    assert {each for each in flags if each.startswith("-")} <= words
    assert max(map(len, lines)) <= 80
    assert "…" not in result.stdout
    for line in lines:
        assert not re.search(r"--[\w-]*-$", line), line
