import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.axes import Axes

from vip_offline.report.html.render import drawn, jpeg_url, render

TEMPLATES = Path(str(files("vip_offline.report.html"))) / "templates"
PAGES = ["analysis.html.j2", "comparison.html.j2", "held_out.html.j2"]


def text_of(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def test_no_template_asks_for_anything_from_a_network() -> None:
    names = sorted(path.name for path in TEMPLATES.iterdir())
    assert {*PAGES, "base.html.j2", "macros.html.j2", "style.css", "analysis.css"} <= {*names}
    for name in names:
        assert not re.search(r"https?://|@import|url\(|<script|\| *safe", text_of(name)), name


@pytest.mark.parametrize("name", ["style.css", "analysis.css"])
def test_a_style_sheet_closes_what_it_opens(name: str) -> None:
    assert text_of(name).count("{") == text_of(name).count("}") > 10


def test_pages_are_light_and_dark_and_the_browser_refuses_what_would_leave_the_file() -> None:
    assert "prefers-color-scheme: dark" in text_of("style.css")
    assert "default-src 'none'" in text_of("base.html.j2")
    assert all(text_of(name).startswith('{% extends "base.html.j2" %}') for name in PAGES)


def test_the_order_is_recommendation_first_and_method_last() -> None:
    page = text_of("analysis.html.j2")
    marks = [
        "analysis.verdict", "analysis.reasons", "analysis.left_out", "in measures", "flags.rows",
        "in curves", "in strips", "folded(weights)", "{{ histogram }}", "folded(planes)",
        "meaning.html.j2",
    ]  # fmt: skip
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_what_the_paper_shows_is_cited() -> None:
    meaning = render("meaning.html.j2")
    for source in ("Table 5", "Fig. 2)", "Fig. 6, 20", "Fig. 7, 21, 22", "Fig. 17 to 19", "Eq. 1",
                   "Eq. 7"):  # fmt: skip
        assert source in meaning


def test_text_is_escaped_and_a_missing_value_is_an_error() -> None:
    from vip_offline.rewards.goal_views import GoalView

    view = GoalView("<b>", (("'\"<i>", np.zeros((2, 2, 3), np.uint8)),), 1, ("a & b",))
    page = render("goals.html.j2", views=[view])
    assert "<b>" not in page and "<i>" not in page
    assert "&lt;b&gt;" in page and "a &amp; b" in page
    assert jpeg_url(view.pictures[0][1]) in page  # base64 stays what it is
    with pytest.raises(UndefinedError, match="views"):
        render("goals.html.j2")


def test_a_figure_is_printed_as_it_is_and_its_label_is_escaped() -> None:
    def draw(ax: Axes) -> None:
        ax.set_title("x")

    figure = drawn(draw, 1.0, "<script>")
    assert figure.startswith(
        '<div class="figure"><svg role="img" aria-label="&lt;script&gt;" style="min-width: 4.7in"'
    )
    assert figure.__html__() == figure  # what keeps templates from escaping it
