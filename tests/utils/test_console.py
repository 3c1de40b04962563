import io
import re
from pathlib import Path

from rich.table import Table

import vip_offline
from vip_offline.utils.console import Console, bar


def test_a_terminal_sees_count_rate_and_unit() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with bar(console, "embed", 0, "frame") as advance:
        advance(total=40)
        for _ in range(4):
            advance(10)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "embed" in output
    assert "40/40" in output


def test_a_log_file_gets_no_bar() -> None:
    console = Console(file=io.StringIO(), width=80)
    with bar(console, "embed", 4, "frame") as advance:
        advance(4)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_a_bar_of_unknown_length_counts_without_a_total() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with bar(console, "download", 0, "MB") as advance:
        advance(0, total=0)
        advance(12)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0/0" not in output
    assert "12/" not in output
    assert " 12 " in output


def test_every_string_is_shown_as_it_is() -> None:
    nasty = "a[red]b:-1:smile:[/]"
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True, width=100)
    table = Table(nasty, title=nasty, caption=nasty)
    table.add_row(nasty)
    console.print(nasty, table, highlight=False)
    with bar(console, nasty, 4, "frame") as advance:
        advance(4)
    assert console.file.getvalue().count(nasty) >= 6  # type: ignore[attr-defined]
    console.print("plain", style="bold")
    assert "\x1b[1mplain" in console.file.getvalue()  # type: ignore[attr-defined]


def test_consoles_and_markup_come_from_one_place() -> None:
    """Elsewhere a name of the user's would be taken for markup sooner or later."""
    package = Path(vip_offline.__file__).parent
    for path in package.rglob("*.py"):
        code = path.read_text()
        assert "rich.markup" not in code, path
        assert "rich.console" not in code or path.name == "console.py", path
        assert not re.search(r"\[/[a-z]*\]|\[(bold|dim|red|yellow)\b", code), path
