import io
import json
from pathlib import Path

from origins import lerobot, robomimic

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import plan_import
from vip_offline.options import ImportOptions
from vip_offline.report.terminal.import_preview import describe_import, print_import
from vip_offline.utils.console import Console


def described(path: Path, episodes: int) -> dict[str, object]:
    plan = plan_import(open_source(path), ImportOptions(max_episodes=episodes))
    return describe_import(str(path), plan)


def test_what_becomes_of_each_column(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    description = described(tmp_path / "set.hdf5", 2)
    assert (description["episodes"], description["taken"], description["rows"]) == (3, 2, 12)
    columns = description["columns"]
    assert isinstance(columns, dict)
    assert columns["actions"]["becomes"] == ["action"]
    assert columns["obs/robot0_eef_pos"]["becomes"] == ["proprio", "extras/obs.robot0_eef_pos"]
    assert columns["obs/agentview_image"]["becomes"] == ["camera agentview"]
    assert json.loads(json.dumps(description)) == description


def test_it_fits_the_terminal(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    console = Console(width=80, record=True, file=io.StringIO())
    print_import(described(tmp_path / "set", 3), console)
    text = console.export_text()
    assert "LeRobotDataset v3.0: 3 of 3 episodes, 16 rows, 4 to 7 each (median 5), 10 Hz" in text
    assert "splits: train, valid" in text
    line = next(line for line in text.splitlines() if line.startswith("observation.images.front"))
    assert "video 32x32x3" in line and "camera front" in line
    assert max(len(line) for line in text.splitlines()[1:]) <= 80
