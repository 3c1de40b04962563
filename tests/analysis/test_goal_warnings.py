import io
import json
from pathlib import Path

import pytest
from made_up_analysis import make_analysis
from made_up_grey import make

from vip_offline.analysis.analyze import analyse
from vip_offline.analysis.results import summarise_analysis
from vip_offline.options import AnalyzeOptions, RelabelOptions
from vip_offline.report.html.analysis_page import write_analysis_page
from vip_offline.report.terminal.analysis import print_analysis
from vip_offline.rewards.relabel import relabel
from vip_offline.utils.console import Console


def moving_goals(path: Path) -> Path:
    """Each success ends at a place of its own, as far from the others as from the starts."""
    ends = ([100, 150, 20], [110, 190, 240], [90, 60, 10], [100, 160, 230])
    return make(path, *((levels, True) for levels in ends), ([100, 105, 100], False))


@pytest.mark.slow
def test_a_mean_of_goals_that_lie_apart(tmp_path: Path) -> None:
    path = moving_goals(tmp_path / "g.zarr")
    relabel(path, RelabelOptions(encoder="pixels"))
    relabel(path, RelabelOptions(encoder="pixels", name="near", goal=("nearest:successes",)))
    analysis = analyse(path, AnalyzeOptions(labels=("pixels", "near")))
    # of the labelling that takes the mean, and of no control
    (warning,) = analysis.warnings
    assert warning.startswith("pixels: the goal images lie ")
    for way_out in ("--goal nearest:successes", "--goal last", "--goal EPISODE:FRAME"):
        assert way_out in warning
    assert json.loads(json.dumps(summarise_analysis(analysis)))["warnings"] == [warning]
    out = io.StringIO()
    print_analysis(analysis, Console(file=out, width=80))
    assert f"warning: {warning}" in " ".join(out.getvalue().split())
    write_analysis_page(analysis, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert '<p class="warning">pixels: the goal images' in page


@pytest.mark.slow
def test_goals_that_agree_are_no_news(tmp_path: Path) -> None:
    path = make(tmp_path / "g.zarr", ([0, 90], True), ([0, 110], True), ([0, 0], False))
    relabel(path, RelabelOptions(encoder="pixels"))
    assert analyse(path, AnalyzeOptions()).warnings == ()
    # a goal from elsewhere is no mean of the store's
    moving = moving_goals(tmp_path / "m.zarr")
    relabel(moving, RelabelOptions(encoder="pixels", stages=("0:1", "0:2")))
    assert analyse(moving, AnalyzeOptions()).warnings == ()
    assert summarise_analysis(make_analysis())["warnings"] == []
