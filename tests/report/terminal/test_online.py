from vip_offline.report.terminal.online import online_table
from vip_offline.utils.console import Console

SUMMARY = {
    "task": "drawer-close",
    "placements": 50,
    "evaluations": 11,
    "start_name": "untrained",
    "start": {"steps": 1000, "success": 0.1, "low": 0.04, "high": 0.21},
    "end": {"steps": 501_000, "success": 0.6, "low": 0.46, "high": 0.72},
    "best": {"steps": 401_000, "success": 0.7, "low": 0.56, "high": 0.81},
}


def test_the_end_is_beside_the_start_and_the_largest_has_no_interval() -> None:
    console = Console(width=80, record=True)
    with console.capture() as captured:
        console.print(online_table(SUMMARY))
    lines = captured.get().splitlines()
    start, end, best = (
        next(line for line in lines if line.startswith(name))
        for name in ("untrained", "at the end", "largest of 11")
    )
    assert start.split()[-5:] == ["1,000", "10", "4", "to", "21"]
    assert end.split()[-5:] == ["501,000", "60", "46", "to", "72"]
    assert best.split()[-2:] == ["401,000", "70"]
    assert max(map(len, lines)) <= 80
