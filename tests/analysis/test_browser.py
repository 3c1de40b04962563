"""The page as a real browser sees it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from in_browser import browser, opened
from made_up_analysis import LABELLINGS, ODD, make_analysis

from vip_offline.report.html.analysis_page import write_analysis_page

DRAWN = frozenset({"path", "use", "text", "image"})


class Figures(HTMLParser):
    """Counts what each <svg> draws, and elements that an <svg> may not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: dict[str, int] = {}
        self.tags: set[str] = set()
        self._label: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "svg":
            self._label = dict(attrs)["aria-label"] or ""
            assert self._label not in self.drawn, f"{self._label}: is there twice"
            self.drawn[self._label] = 0
        elif self._label is not None and tag in DRAWN:
            self.drawn[self._label] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            self._label = None


def figures_of(dom: str) -> Figures:
    seen = Figures()
    seen.feed(dom)
    seen.close()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("odd", [False, True])
def test_a_browser_finds_every_figure_and_nothing_to_complain_of(odd: bool, tmp_path: Path) -> None:
    names = ODD if odd else LABELLINGS
    analysis = make_analysis(14, 20, names, odd=odd, one_frame=odd)
    write_analysis_page(analysis, tmp_path / "report.html")
    dom, complaints = opened(tmp_path / "report.html", tmp_path)
    assert complaints == []
    seen = figures_of(dom)
    # 4 over all rows, curves, strips, sample sizes, histogram, differences, true rewards, planes
    strips = 12 - odd  # an episode of one frame has no curve
    assert len(seen.drawn) == 4 + 7 + strips + 4 + 1 + 5 + 4 + 6
    empty = [label for label, count in seen.drawn.items() if count < 10]
    assert empty == []
    assert "script" not in seen.tags
    text = re.sub(r"<[^>]*>", "", dom)
    assert "What the numbers mean" in text
    pictures = re.findall(r'<img alt="[^"]*" src="data:image/jpeg;base64,([^"]*)"', dom)
    # goal, goal beside curves but for time's, strips, heaviest transitions
    assert len(pictures) == 2 + 6 + 12 + 4 * 3 * 6
    assert all(len(picture) > 200 for picture in pictures)


@pytest.mark.slow
def test_the_browser_would_complain(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    write_analysis_page(make_analysis(3, 5, LABELLINGS[:1], 0), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    page = page.replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>')
    (tmp_path / "bad.html").write_text(page)
    _, complaints = opened(tmp_path / "bad.html", tmp_path)
    assert any("Content Security Policy" in complaint for complaint in complaints)


def test_without_a_browser_the_test_fails_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        browser()
