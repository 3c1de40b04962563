import dataclasses
from pathlib import Path

import pytest
from made_up_held_out import ARMS, make_held_out
from matplotlib.figure import Figure

from vip_offline.report.figures.held_out import draw_held_out
from vip_offline.report.html.goals import beside_curves, of_row
from vip_offline.report.html.held_out_page import write_held_out_page
from vip_offline.rewards.goal_views import GoalView


def test_every_number_figure_and_picture_is_there(tmp_path: Path) -> None:
    page, summary = make_held_out()
    write_held_out_page(page, summary, tmp_path / "new" / "report.html")
    text = (tmp_path / "new" / "report.html").read_text()
    for part in (
        summary["answer"],
        *summary["verdicts"],
        *ARMS,
        f"{summary['arms'][1]['error']:.4f}",
        "2 of 2",
        "3 seeds × 2 held-out episodes",
        "Episodes 3, 4 were held out",
        "source = &#34;demos&#34;",
        "<figcaption>goal</figcaption>",
    ):
        assert part in text, part
    assert text.count("<svg") == 2


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    page, summary = make_held_out(("bc", evil))
    page = dataclasses.replace(page, store=evil, label=evil, recipe=evil, versions={evil: evil})
    write_held_out_page(page, summary | {"name": evil, "encoder": evil}, tmp_path / "report.html")
    assert "<script" not in (tmp_path / "report.html").read_text()


def test_a_bar_per_episode_and_the_mean() -> None:
    _, summary = make_held_out()
    ax = Figure().add_subplot()
    draw_held_out(ax, summary)
    bars = [line for line in ax.get_lines() if line.get_marker() == "|"]
    first = summary["arms"][0]["per_episode"][0]
    assert [*bars[0].get_xdata()] == [first["low"], first["high"]]  # type: ignore[misc]
    assert len(bars) == len(ARMS) * 2
    means = [line.get_xdata() for line in ax.get_lines() if line.get_marker() == "D"]
    assert [x[0] for x in means] == pytest.approx([arm["error"] for arm in summary["arms"]])  # type: ignore[index]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(ARMS)


def test_the_goal_beside_the_curves_is_that_of_the_row() -> None:
    page, _ = make_held_out()
    (view,) = page.goals
    ((pixels, caption),) = beside_curves([dataclasses.replace(view, count=7)])
    assert caption == "goal, 1 of 7 pictures" and pixels is view.pictures[0][1]
    assert [name for _, name in beside_curves([view, view])] == ["goal 1", "goal 2"]
    words = GoalView("Goal: the text 'shut'", (), 0)
    assert beside_curves([words]) == []
    other = GoalView("Goal: another", view.pictures, 1)
    goals = (("a, b", (view,)), ("c", (other,)))
    assert of_row(goals, "b", control=False) == (view,)
    assert of_row(goals, "c", control=False) == (other,)
    assert of_row(goals, "raw pixels", control=True) == (view,)
    assert of_row((("a, b", (view,)), ("b", (other,))), "b", control=False) == (other,)
    assert of_row((), "c", control=True) == ()
