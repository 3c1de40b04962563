import re
from string import Template

from vip_offline.report.html import analysis_outline
from vip_offline.report.html.style import STYLE


def test_the_skeleton_needs_no_network_and_closes_what_it_opens() -> None:
    whole = analysis_outline.LOOK + analysis_outline.PAGE
    assert not re.search(r"https?://|@import|url\(|<script", whole)
    assert whole.count("{") == whole.count("}")
    assert whole.startswith(STYLE)  # that of every page: light and dark
    assert "default-src 'none'" in analysis_outline.PAGE


def test_the_order_is_verdict_first_and_method_last() -> None:
    places = Template(analysis_outline.PAGE).get_identifiers()
    order = [
        "answer", "reasons", "left_out", "numbers", "flags", "curves", "strips", "weights",
        "histograms", "planes", "meaning",
    ]  # fmt: skip
    assert [each for each in places if each in order] == order


def test_what_the_paper_shows_is_cited() -> None:
    whole = " ".join(f"{term} {text}" for term, text in analysis_outline.MEANING)
    for each in ("Table 5", "Fig. 2)", "Fig. 6, 20", "Fig. 7, 21, 22", "Fig. 17 to 19", "Eq. 1",
                 "Eq. 7"):  # fmt: skip
        assert each in whole
