"""Pages on a phone: every text can be read, and the page itself never scrolls sideways."""

from pathlib import Path

import pytest
from in_browser import PHONE, measured
from made_up_analysis import LABELLINGS, ODD, make_analysis
from made_up_comparison import make_comparison
from made_up_curation import make_curation
from made_up_held_out import make_held_out

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.report.html.analysis_page import write_analysis_page
from vip_offline.report.html.comparison_page import write_comparison_page
from vip_offline.report.html.curation_page import write_curation_page
from vip_offline.report.html.held_out_page import write_held_out_page

pytestmark = pytest.mark.slow
SMALLEST = 11.99  # px: 12 but for rounding
PAGES = ("analysis", "odd analysis", "comparison", "held out", "curation")


def write(kind: str, path: Path) -> Path:
    if kind == "comparison":
        comparison = make_comparison()
        write_comparison_page(comparison, summarise_comparison(comparison), path)
    elif kind == "held out":
        write_held_out_page(*make_held_out(), path)
    elif kind == "curation":
        write_curation_page(make_curation(), path)
    else:
        odd = kind.startswith("odd")
        names = ODD if odd else LABELLINGS
        write_analysis_page(make_analysis(14, 20, names, odd=odd, flagged=(1, 4)), path)
    return path


@pytest.mark.parametrize("kind", PAGES)
def test_every_text_can_be_read_on_a_phone(kind: str, tmp_path: Path) -> None:
    page = measured(write(kind, tmp_path / "report.html"), tmp_path)
    assert len(page.texts) > 50 and page.figures
    assert page.smallest[0] >= SMALLEST, page.smallest
    assert page.width <= PHONE


@pytest.mark.parametrize("kind", PAGES)
def test_on_a_screen_figures_are_larger_and_still_fit(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path / "report.html")
    wide, narrow = measured(path, tmp_path, 1280), measured(path, tmp_path)
    assert wide.smallest[0] >= SMALLEST and wide.width <= 1280
    assert all(one >= other for one, other in zip(wide.figures, narrow.figures, strict=True))
    assert max(wide.figures) > max(narrow.figures)


def test_a_page_that_shrinks_its_figures_would_be_seen(tmp_path: Path) -> None:
    path = write("comparison", tmp_path / "report.html")
    text = path.read_text()
    path.write_text(text.replace("min-width: 4.7in", ""))
    assert measured(path, tmp_path).smallest[0] < SMALLEST
    path.write_text(text.replace("overflow-x: auto", ""))
    assert measured(path, tmp_path).width > PHONE
