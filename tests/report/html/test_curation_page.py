import re
from pathlib import Path

from made_up_curation import make_curation
from matplotlib.figure import Figure

from vip_offline.report.figures.curation import choice_of, draw_choice
from vip_offline.report.html.curation_page import write_curation_page


def test_every_episode_reason_and_frame_is_there(tmp_path: Path) -> None:
    curation = make_curation()
    write_curation_page(curation, tmp_path / "new/curation.html")
    text = (tmp_path / "new/curation.html").read_text()
    kept = len(curation.kept)
    assert f"{kept} of 14 episodes are kept" in text and curation.notes[0] in text
    table = text[text.index("All episodes") : text.index("<h2>Segments")]
    for episode in curation.ranked:
        assert re.search(rf"<td>episode {episode.episode}\b", table)
        for reason in episode.reasons[1:]:
            assert reason in table
    cases = text[text.index("Cases to look at") : text.index("All episodes")]
    for episode in curation.borderline:
        assert f"<h3>episode {episode.episode}" in cases
    shown = len(curation.borderline)
    assert cases.count("its last frame") == 2 * shown  # caption, and for those who cannot see
    assert "a clear success" in cases and "frame 39" in cases
    assert "share of the way to the goal" in text and "step of the episode (frames)" in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_segments_are_ranked_by_what_they_lose(tmp_path: Path) -> None:
    write_curation_page(make_curation(), tmp_path / "curation.html")
    text = (tmp_path / "curation.html").read_text()
    lost = re.findall(r"<td>(\d\.\d\d|stands still)</td></tr>", text[text.index("Segments") :])
    numbers = [float(value) for value in lost if value != "stands still"]
    assert numbers == sorted(numbers, reverse=True) and lost[-1] == "stands still"


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    write_curation_page(make_curation("<script>alert(1)</script>"), tmp_path / "curation.html")
    text = (tmp_path / "curation.html").read_text()
    assert "<script" not in text and "&lt;script" in text


def test_each_choice_has_its_colour_and_the_limit_is_drawn() -> None:
    curation = make_curation()
    ax = Figure().add_subplot()
    draw_choice(ax, curation.analysis.rows[0].distances, curation.ranked, curation.least)
    choices = {choice_of(episode) for episode in curation.ranked}
    assert len(ax.collections) == len(choices)
    assert sum(len(lines.get_paths()) for lines in ax.collections) == len(curation.ranked)
    legend = ax.get_legend()
    assert legend is not None
    assert "limit: 0.7 covered" in [text.get_text() for text in legend.get_texts()]
