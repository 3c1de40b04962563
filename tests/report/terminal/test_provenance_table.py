from rich.console import Console

from vip_offline.report.terminal.store import MADE, provenance_table

HEADINGS = [heading for heading, _ in MADE.values()]
ROW = {
    "what": "policy runs/a/very/long/path/that/does/not/fit/into/its/column/seed-0",
    "source": "demos.zarr, label [bold]x[/bold]",
    "settings": "rwr, seed 0, 20 steps",
    "still": "no: actions of episodes 0, 1, 2, 3, 4, 5, 6, 7 and 20 more changed",
}


def printed() -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(provenance_table([ROW]))
    return capture.get()


def test_it_fits_80_columns_and_loses_nothing() -> None:
    lines = printed().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert all(heading in lines[0] for heading in HEADINGS)
    letters = sorted("".join(printed().split()))
    assert letters == sorted("".join("".join((*HEADINGS, *ROW.values())).split()))


def test_names_are_no_markup() -> None:
    assert "[bold]" in printed()
