import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_analysis import FLAGS, LABELLINGS, ODD, make_analysis
from matplotlib.figure import Figure

from vip_offline.analysis.results import Analysis, Flag
from vip_offline.report.html import analysis_episodes, analysis_numbers
from vip_offline.report.html import analysis_page as page
from vip_offline.report.html.analysis_page import write_analysis_page


class Seen(HTMLParser):
    """Collects what a browser would act on."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.figures: list[str] = []
        self.headings: list[str] = []
        self.alts: list[str] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "h2":
            self.headings.append("")
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "poster", "data", "srcset"):
                self.sources.append(value or "")
            if tag == "svg" and name == "aria-label":
                self.figures.append(value or "")
            if tag == "img" and name == "alt":
                self.alts.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "h2" in self._open:
            self.headings[-1] += data

    def close(self) -> None:
        super().close()
        assert not self._open


def read(path: Path) -> Seen:
    seen = Seen()
    seen.feed(path.read_text(encoding="utf-8"))
    seen.close()
    return seen


def written(analysis: Analysis, folder: Path) -> Seen:
    path = folder / "new" / "report.html"
    write_analysis_page(analysis, path)
    return read(path)


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that was written, and what it was made of."""

    analysis: Analysis
    path: Path
    seen: Seen


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder, analysis = tmp_path_factory.mktemp("usual"), make_analysis(flagged=(1, 4))
    return Page(analysis, folder / "new/report.html", written(analysis, folder))


def row_of(seen: Seen, path: Path, heading: str) -> list[str]:
    """Texts of the cells of a line of numbers, small print included."""
    source = path.read_text(encoding="utf-8")
    (line,) = re.findall(rf"<tr><th>{re.escape(heading)} ?(?:<small>|</th>).*?</tr>", source)
    return [re.sub("<[^>]*>", " ", cell).strip() for cell in re.findall("<td.*?</td>", line)]


@pytest.mark.slow
def test_page_needs_nothing_from_elsewhere(usual: Page) -> None:
    seen = usual.seen
    assert any(source.startswith("data:image/jpeg") for source in seen.sources)
    assert all(source.startswith(("data:image/", "#")) for source in seen.sources)
    assert not {"script", "link", "iframe", "object"} & {*seen.tags}
    source = usual.path.read_text()
    assert "url(http" not in source and "@import" not in source
    assert [path.name for path in usual.path.parent.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_every_section_figure_and_picture_is_there(usual: Page) -> None:
    analysis, seen = usual.analysis, usual.seen
    assert seen.headings == [
        "What counts as the goal",
        "The numbers",
        "Suspicious episodes",
        "Distance to the goal over each episode",
        "Episode by episode",
        "What training would see",
        "Sizes of rewards",
        "The embedding in two dimensions",
        "What the numbers mean",
    ]
    kinds = {
        "How well coming closer": 1,
        "Order in time": 1,
        "Share of bumps": 1,
        "Change of the distance over its noise": 1,
        "Distance to the goal over each": 5,
        "Distances to the goal over episode": 12,
        "Effective sample size": 2,
        "How often rewards": 1,
        "Difference in count": 3,
        "Reward against the true": 2,
        "Embedding in two": 4,
    }
    for start, count in kinds.items():
        assert sum(figure.startswith(start) for figure in seen.figures) == count, start
    assert len(seen.figures) == sum(kinds.values()) == len({*seen.figures})
    assert seen.alts.count("episode 0, frame 29") == 2
    assert "Goal: the mean of the last frames of 7 successes (2 of 7 pictures)" in seen.text
    strips = [alt for alt in seen.alts if alt.startswith("8 frames of")]
    assert len(strips) == 12
    pairs = [alt for alt in seen.alts if alt.startswith("weight ")]
    assert len(pairs) == sum(
        len(weighting.heaviest) for row in analysis.labellings for weighting in row.weightings
    )
    assert seen.text.index(analysis.verdict) < seen.text.index(analysis.reasons[0])
    assert seen.text.index(analysis.reasons[1]) < seen.text.index("The numbers")
    for text in (FLAGS[1].value, "frame 11", "no-progress", "episode 1 “demo_1” (expert)"):
        assert text in seen.text


@pytest.mark.slow
def test_what_was_left_out_is_said_before_any_number(tmp_path: Path) -> None:
    tiny = make_analysis(2, 5, LABELLINGS[:1], 0)
    analysis = dataclasses.replace(tiny, left_out=("No camera.", "No failures."))
    seen = written(analysis, tmp_path)
    assert seen.text.index("No camera.") < seen.text.index("No failures.")
    assert seen.text.index("No failures.") < seen.text.index("The numbers")
    assert "What was left out" not in written(tiny, tmp_path).text


@pytest.mark.slow
def test_numbers_of_labellings_stand_beside_those_of_controls(usual: Page) -> None:
    analysis, seen, path = usual.analysis, usual.seen, usual.path
    successes = analysis.success
    bumps = row_of(seen, path, "bumps")
    assert len(bumps) == len(analysis.rows) == 5
    first = analysis.rows[0].bumps[successes]
    assert bumps[0] == f"{first.mean():.3f} ± {first.std(ddof=1):.3f}"
    assert "of the T − 1 transitions of T frames; mean ± deviation, 8 successes" in seen.text
    auc = analysis.rows[0].came_closer
    assert auc is not None
    assert row_of(seen, path, "AUC")[0] == f"{auc.auc:.2f} {auc.low:.2f}–{auc.high:.2f}"
    moved = analysis.rows[1].came_closer_moved
    assert moved is not None
    assert row_of(seen, path, "AUC, moved as far")[1].startswith(f"{moved.auc:.2f} ")
    assert f"{moved.successes} against {moved.failures}" in seen.text
    assert row_of(seen, path, "goal agreement") == ["0.31"] * 4 + ["-"]
    noise = analysis.rows[2].noise
    assert noise is not None
    ratio = f"{analysis.rows[2].signal[5] / noise.step:.1f}"
    assert row_of(seen, path, "signal / noise, 5 steps")[2] == ratio
    assert row_of(seen, path, "R²")[0] == f"{analysis.rows[0].dense_fit:.2f}"
    by_return = analysis.rows[0].weightings[2]
    assert row_of(seen, path, "tau for 10\u00a0%, by return")[0] == f"{by_return.tau:.3g}"
    shares = row_of(seen, path, "weight on successes, by return")
    assert shares[0] == f"{100 * by_return.on_successes:.0f}\u00a0%"


def test_the_papers_temperature_is_read_off_the_curve() -> None:
    weighting = dataclasses.replace(
        make_analysis().rows[0].weightings[0],
        taus=np.array([0.01, 1.0]),
        effective_sample_size=np.array([1.0, 0.5]),
    )
    assert analysis_numbers._at_papers_tau(weighting) == pytest.approx(0.75)


@pytest.mark.slow
def test_text_of_others_stays_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    analysis = make_analysis(
        4, names=(evil, "$style"), odd=True, flagged=(), store=f"{evil}.zarr", task=evil,
        verdict=f"{evil} $title", reasons=(evil,), left_out=(f"$numbers {evil}",),
    )  # fmt: skip
    views = tuple(
        dataclasses.replace(episode, name=evil, kind=evil, flags=(Flag("frozen-camera", evil, 2),))
        for episode in analysis.episodes
    )
    seen = written(dataclasses.replace(analysis, episodes=views), tmp_path)
    assert "script" not in seen.tags and "b" not in seen.tags
    for text in (f"{evil} $title", f"$numbers {evil}", f"{evil}.zarr", ODD[0]):
        assert text in seen.text
    assert any(evil in figure for figure in seen.figures)
    assert any(evil in alt for alt in seen.alts)
    assert seen.text.count(evil) > 30


@pytest.mark.slow
def test_odd_names_are_shown_as_they_are(tmp_path: Path) -> None:
    seen = written(make_analysis(4, 6, ODD, 0, odd=True), tmp_path)
    for name in ODD:
        assert f"“{name}”" in seen.text
    assert f"{ODD[0]} {ODD[1]}" in seen.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {"outcomes": "failures"},
        {"outcomes": "successes"},
        {"thumbnails": False},
        {"one_frame": True},
        {"episodes": 1, "frames": 1, "one_frame": True},
        {"nan": True},
        {"true": False},
        {"controls": 0, "names": ("only",)},
        {"verdict": "", "reasons": ()},
    ],
    ids=str,
)
def test_what_is_missing_leaves_no_hole(case: dict[str, Any], tmp_path: Path) -> None:
    small = {"episodes": 4, "frames": 12, "names": LABELLINGS[:1]}
    seen = written(make_analysis(**{**small, **case}), tmp_path)
    words = re.findall(r"\w+", seen.text)
    assert not {"nan", "inf", "None"} & {*words}
    assert "-–" not in seen.text
    assert len(seen.headings) == 9
    if case.get("outcomes"):
        assert "How well coming" not in str(seen.figures)
        assert "against" not in seen.text.split("Suspicious episodes")[0]
        assert "weight on successes, by" not in seen.text
    if "thumbnails" in case:
        assert "img" not in seen.tags
        assert "weight " in seen.text
    if "true" in case:
        assert "R² " not in seen.text.split("What the numbers mean")[0]
    if "verdict" in case:
        assert "answer" not in (tmp_path / "new" / "report.html").read_text().split("</style>")[1]


@pytest.mark.slow
def test_an_episode_without_a_goal_of_others_has_no_curve_but_time(tmp_path: Path) -> None:
    seen = written(make_analysis(4, nan=True), tmp_path)
    assert "not every transition's reward is known" in seen.text
    assert "Distances to the goal over episode 0 “demo_0” (expert)" in seen.figures


@pytest.mark.slow
def test_an_older_page_stays_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "report.html"
    written(make_analysis(2, 5, LABELLINGS[:1], 0), tmp_path)
    before = path.read_bytes()

    def broken(*_: object) -> str:
        raise RuntimeError("no space")

    monkeypatch.setattr(page, "_planes", broken)
    with pytest.raises(RuntimeError):
        written(make_analysis(3, 5, LABELLINGS[:1], 0), tmp_path)
    assert path.read_bytes() == before


# --- which episodes are shown --------------------------------------------------------------


def flagged_as(kinds: dict[int, str], episodes: int = 40) -> Analysis:
    analysis = make_analysis(episodes, 4, LABELLINGS[:1], 0, thumbnails=False, true=False)
    views = tuple(
        dataclasses.replace(
            episode,
            flags=(Flag(kinds[episode.index], "x"),) if episode.index in kinds else (),  # type: ignore[arg-type]
        )
        for episode in analysis.episodes
    )
    return dataclasses.replace(analysis, episodes=views)


def test_suspicious_episodes_come_first_and_others_are_there_to_compare() -> None:
    kinds = dict.fromkeys(range(20), "cut") | {15: "too-short", 30: "black-frames"}
    chosen = analysis_episodes.episodes_to_show(flagged_as(kinds).episodes)
    assert len(chosen) == analysis_episodes.STRIPS
    shown = [view.index for view in chosen]
    assert shown[:3] == [0, 15, 30]  # one of each kind
    assert shown[3 : analysis_episodes.STRIPS_FLAGGED] == [1, 2, 3, 4, 5]
    usual = chosen[analysis_episodes.STRIPS_FLAGGED :]
    assert not any(view.flags for view in usual)
    assert [view.success for view in usual] == [True, False, True, False]


@pytest.mark.parametrize("flagged", [0, 3, 12, 40])
def test_no_place_is_left_empty(flagged: int) -> None:
    chosen = analysis_episodes.episodes_to_show(
        flagged_as(dict.fromkeys(range(flagged), "cut")).episodes
    )
    assert len({view.index for view in chosen}) == analysis_episodes.STRIPS


@pytest.mark.slow
def test_few_episodes_are_all_shown_and_the_others_are_in_a_table(tmp_path: Path) -> None:
    seen = written(make_analysis(5, 6, LABELLINGS[:1], 0), tmp_path)
    assert "episodes 5 are here" not in seen.text and "in numbers" not in seen.text
    seen = written(make_analysis(15, 6, LABELLINGS[:1], 0), tmp_path)
    assert "Of 15 episodes 12 are here" in seen.text
    assert "The other 3 in numbers" in seen.text
    assert all(f"“demo_{index}”" in seen.text for index in range(15))


def test_each_picture_is_below_its_own_moment() -> None:
    figure = Figure(figsize=(6, 2))
    ax = figure.add_subplot()
    analysis_episodes._align(ax, 36, 8, 0.2)
    position = ax.get_position()
    assert (position.x0, position.x1) == (0, 1)
    shown = np.linspace(0, 35, 8)
    assert shown.tolist() == ax.get_xticks().tolist()
    across = ax.transAxes.inverted().transform(
        ax.transData.transform(np.column_stack([shown, np.zeros(8)]))
    )[:, 0]
    np.testing.assert_allclose(across, (np.arange(8) + 0.5) / 8)


def test_pictures_keep_their_width_when_put_beside_each_other() -> None:
    shots = np.zeros((3, 4, 5, 3), np.uint8)
    row = analysis_episodes.film_strip(shots)
    assert row.shape == (4, 15, 3)
    assert not shots.any()  # what was found stays as it is
    assert np.flatnonzero(row[0, :, 0]).tolist() == [4, 5, 9, 10]


@pytest.mark.slow
def test_two_hundred_episodes_make_a_page_that_may_be_mailed(tmp_path: Path) -> None:
    analysis = make_analysis(200, 100, LABELLINGS, flagged=range(0, 200, 3))
    seen = written(analysis, tmp_path)
    assert (tmp_path / "new" / "report.html").stat().st_size < 5_000_000
    assert sum(alt.startswith("8 frames of") for alt in seen.alts) == analysis_episodes.STRIPS
    assert "47 more" in seen.text
