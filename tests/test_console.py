import io

from rich.console import Console

from vip_offline.console import bar


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
