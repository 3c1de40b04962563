import io
import json
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM

from vip_offline.dataset.catalog.card import card, cards
from vip_offline.report.terminal.datasets import describe_card, print_card, print_cards
from vip_offline.utils.console import Console


def screen() -> Console:
    return Console(file=io.StringIO(), width=80)


def text(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_line_per_data_set(tmp_path: Path) -> None:
    (tmp_path / "datasets/lerobot-pusht.zarr").mkdir(parents=True)
    (tmp_path / "datasets/lerobot-pusht.zarr/zarr.json").touch()
    console = screen()
    print_cards(cards().values(), console)
    lines = text(console).splitlines()
    assert len(lines) == 1 + len(cards())
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines}
    assert rows["lerobot-pusht"][-1] == "yes"
    assert rows["robomimic-can-ph"][-1] == "fetch"
    assert rows["metaworld-drawer-close"][-1] == "record"
    assert rows["ego4d-clips"][-2:] == ["by", "hand"]
    assert "1.9 GB" in " ".join(rows["robomimic-can-ph"])


@pytest.mark.parametrize("name", sorted(cards()))
def test_a_card_for_people_and_programs(name: str) -> None:
    description = describe_card(card(name))
    assert json.loads(json.dumps(description)) == description
    texts = (description["command"], description["import"], *description["by_hand"])
    assert not any("{" in text for text in texts)  # every place is filled in
    console = screen()
    print_card(description, console)
    shown = text(console)
    for key in ("origin", "licence", "size", "import", "command", "url"):
        assert description[key] in shown
    for step in description["by_hand"]:
        assert step in shown
    for value in description["environment"].values():
        assert "{" not in value
    assert ("--fetch" in shown) == (not description["by_hand"])


def test_the_program() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "datasets", *arguments], capture_output=True, text=True, check=False
        )

    assert len(json.loads(run("--json").stdout)) == len(cards())
    assert "robomimic Lift" in run("robomimic-lift-ph").stdout
    signed = run("ego4d-clips", "--fetch")
    assert signed.returncode == 2
    assert "licence: to be signed" in signed.stdout
    assert "1. Sign the licence agreement" in signed.stderr
    nameless = run("--fetch")
    assert (nameless.returncode, nameless.stderr[:7]) == (2, "error: ")
