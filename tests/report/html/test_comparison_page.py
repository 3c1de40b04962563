import dataclasses
import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_up_comparison import film, make_comparison

from vip_offline.analysis.closed_loop.comparison import Comparison, summarise_comparison
from vip_offline.report.html import comparison_page as page
from vip_offline.report.html.comparison_page import write_comparison_page
from vip_offline.utils.files import write_json


class Seen(HTMLParser):
    """Collects what a browser would act on."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.figures: list[str] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "poster", "data", "srcset"):
                self.sources.append(value or "")
            if tag == "svg" and name == "aria-label":
                self.figures.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def close(self) -> None:
        super().close()
        assert not self._open


def read(path: Path) -> Seen:
    seen = Seen()
    seen.feed(path.read_text(encoding="utf-8"))
    seen.close()
    return seen


def written(comparison: Comparison, folder: Path) -> Seen:
    path = folder / "new" / "page.html"
    write_comparison_page(comparison, summarise_comparison(comparison), path)
    return read(path)


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    comparison = make_comparison(videos=(("a rollout", film(tmp_path)),))
    seen = written(comparison, tmp_path)
    assert seen.sources
    assert all(source.startswith(("data:", "#")) for source in seen.sources)
    assert "script" not in seen.tags
    assert "link" not in seen.tags
    source = (tmp_path / "new" / "page.html").read_text()
    assert "url(http" not in source
    assert "@import" not in source
    assert len(source) < 5_000_000


def test_every_figure_picture_and_number_is_there(tmp_path: Path) -> None:
    comparison = make_comparison(videos=(("a rollout", film(tmp_path)),))
    summary = summarise_comparison(comparison)
    seen = written(comparison, tmp_path)
    starts = ("Success rate", "Success of each", "Distance", "Share of the tr", "Share of seeds")
    assert len(seen.figures) == len(starts)
    assert all(f.startswith(start) for f, start in zip(seen.figures, starts, strict=True))
    # the goal, again beside the curves, and strips of two successes and two failures
    assert seen.tags.count("img") == 6
    assert seen.tags.count("video") == 1
    for text in (
        summary["answer"],
        *summary["verdicts"],
        *(arm.description for arm in comparison.arms),
        comparison.recipe,
        "lite0-dense",
        "12.3",
        "demonstration 3 (stops short): failed, 30 frames",
        "0, 1, 2, 3, 4",
        "a rollout",
        "Goal: the last frame of 1 success",
        "episode 0, frame 9",
    ):
        assert text in seen.text
    assert seen.text.index(summary["answer"]) < seen.text.index("All numbers")


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    comparison = make_comparison({"bc": 0.2, evil: 0.9})
    bc, other = comparison.arms
    comparison = dataclasses.replace(
        comparison,
        arms=(bc, dataclasses.replace(other, description=f"$style {evil}")),
        task=f"{evil} $recipe",
        encoder=evil,
        label=evil,
        recipe=f"name = '{evil}</pre>'",
        videos=((f'"{evil}', tmp_path / evil / "none.mp4"),),
        minutes={evil: 1.0},
        versions={evil: evil},
        demonstrations=tuple(
            dataclasses.replace(demonstration, kind=evil)
            for demonstration in comparison.demonstrations
        ),
    )
    seen = written(comparison, tmp_path)
    assert "script" not in seen.tags
    assert f"$style {evil}" in seen.text
    assert f"{evil} $recipe" in seen.text
    # title twice, subtitle twice, names in answer, verdict, tables and figures, ...
    assert seen.text.count(evil) > 15


def test_videos_that_do_not_fit_or_do_not_exist_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "VIDEO_BYTES", 1000)
    videos = (
        ("first", film(tmp_path, 600)),
        ("second", film(tmp_path, 601)),
        ("third", film(tmp_path, 400)),
        ("fourth", tmp_path / "lost.mp4"),
    )
    seen = written(make_comparison(videos=videos), tmp_path)
    assert seen.tags.count("video") == 2
    assert "second: the film is left out" in seen.text
    assert "film-601.mp4" in seen.text
    assert "fourth: the film is not there" in seen.text


@pytest.mark.parametrize(("seeds", "placements"), [(1, 1), (1, 3), (3, 1), (2, 2)])
def test_small_runs_make_a_page_that_says_so(tmp_path: Path, seeds: int, placements: int) -> None:
    seen = written(make_comparison(seeds=seeds, placements=placements), tmp_path)
    assert ("there are no intervals" in seen.text) == (seeds == 1)
    assert ("cover seeds only" in seen.text) == (seeds > 1 and placements == 1)
    assert f"{seeds} seed{'s' * (seeds > 1)} × {placements} placement" in seen.text
    assert "nan" not in seen.text.lower().split()
    assert "None" not in seen.text.replace("None were kept.", "")


def test_one_arm_has_no_differences_to_draw(tmp_path: Path) -> None:
    assert len(written(make_comparison({"bc": 0.5}), tmp_path).figures) == 4


def test_json_has_null_for_nan_and_keeps_its_signs(tmp_path: Path) -> None:
    summary = summarise_comparison(make_comparison(seeds=1, placements=3))
    path = tmp_path / "summary.json"
    write_json(summary, path)
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "×" in text
    again = json.loads(text)
    assert again == summary
    assert again["differences"][0]["low"] is None


def test_json_with_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json({"low": float("nan")}, tmp_path / "summary.json")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_stays_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.json"
    write_json({"run": 1}, path)
    before = path.read_text()
    contents: list[str] = []

    def full_disk(descriptor: int) -> None:
        contents.append(path.read_text())
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_json({"run": 2}, path)
    assert contents == [before]
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written is left lying about


def test_others_may_read_the_file(tmp_path: Path) -> None:
    known: Any = tmp_path / "usual.txt"
    known.write_text("")
    path = tmp_path / "summary.json"
    write_json({}, path)
    assert path.stat().st_mode == known.stat().st_mode
