import numpy as np
import pytest
from made_up_comparison import NAMES, make_arm, make_comparison
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.report.figures import comparison as figures
from vip_offline.report.figures.colors import INK


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def legend(ax: Axes) -> list[str]:
    box = ax.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def points_of(ax: Axes, marker: str) -> list[tuple[list[float], list[float]]]:
    return [
        (np.atleast_1d(line.get_xdata()).tolist(), np.atleast_1d(line.get_ydata()).tolist())
        for line in ax.get_lines()
        if line.get_marker() == marker
    ]


def test_success_has_a_dot_per_seed_the_mean_and_the_interval(ax: Axes) -> None:
    summary = summarise_comparison(make_comparison())
    figures.draw_success(ax, summary)
    assert labels(ax) == list(NAMES)
    means = [x[0] for x, _ in points_of(ax, "D")]
    assert means == pytest.approx([100 * arm["success"]["mean"] for arm in summary["arms"]])
    assert [len(x) for x, _ in points_of(ax, "o")] == [5] * 6
    bars = [x for x, _ in points_of(ax, "None")]
    assert bars[2] == pytest.approx(
        [100 * summary["arms"][2]["success"][end] for end in ("low", "high")]
    )
    assert "%" in ax.get_xlabel()
    # seeds with equal rates lie beside one another
    assert all(len(set(zip(x, y, strict=True))) == 5 for x, y in points_of(ax, "o"))


def test_differences_show_zero_the_interval_and_what_was_detectable(ax: Axes) -> None:
    summary = summarise_comparison(make_comparison())
    figures.draw_differences(ax, summary)
    rows = {
        difference["a"]: difference
        for difference in summary["differences"]
        if difference["b"] == "bc"
    }
    assert labels(ax) == list(rows)
    assert [x[0] for x, _ in points_of(ax, "D")] == pytest.approx(
        [100 * row["mean"] for row in rows.values()]
    )
    ticks = [x for x, _ in points_of(ax, "|")]
    smallest = [100 * row["smallest_detectable"] for row in rows.values()]
    assert [right for _, right in ticks] == pytest.approx(smallest)
    assert [0, 0] in [list(line.get_xdata()) for line in ax.get_lines()]  # type: ignore[arg-type]
    assert "smallest detectable" in legend(ax)


def test_placements_keep_their_rows_and_columns(ax: Axes) -> None:
    summary = summarise_comparison(make_comparison())
    figures.draw_placements(ax, summary)
    mesh = ax.collections[0]
    expected = np.array([arm["per_placement"] for arm in summary["arms"]])
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(expected.shape), expected)
    numbers = {text.get_position(): text.get_text() for text in ax.texts}
    assert numbers == {
        (column + 0.5, row + 0.5): f"{100 * rate:.0f}"
        for (row, column), rate in np.ndenumerate(expected)
    }
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first arm is on top
    assert labels(ax) == list(NAMES)


def test_weights_of_a_known_arm(ax: Axes) -> None:
    weights = np.array([0.0] * 50 + [2.0] * 50)
    success = np.ones((2, 2), dtype=bool)
    even = make_arm("bc", success)
    half = make_arm("half", success, weights=weights, effective_sample_size=0.5)
    shuffled = make_arm("shuffled", success, weights=weights[::-1], effective_sample_size=0.5)
    figures.draw_weights(ax, [even, half, shuffled])
    assert legend(ax) == ["bc (100 %)", "half, shuffled (50 %)"]
    diagonal, bulge = (np.asarray(line.get_ydata()) for line in ax.get_lines())
    np.testing.assert_allclose(diagonal, np.linspace(0, 100, 201))
    assert bulge[50] == pytest.approx(50)  # a quarter of the transitions, half of the weight
    assert bulge[100:] == pytest.approx(100)


def test_a_name_that_starts_with_an_underscore_stays_in_the_legend() -> None:
    arm = make_arm("_mine", np.ones((2, 2), dtype=bool))
    text = figures.svg(lambda ax: figures.draw_weights(ax, [arm]), 2.0, "x")
    assert "_mine (100 %)</text>" in text


def test_distances_start_at_one_and_tell_failures_apart(ax: Axes) -> None:
    demonstrations = make_comparison().demonstrations
    figures.draw_distances(ax, demonstrations)
    curves = [line for line in ax.get_lines() if len(np.asarray(line.get_ydata())) > 1]
    assert len(curves) == 4
    assert all(np.asarray(line.get_ydata())[0] == 1 for line in curves)
    looks = {(line.get_color(), line.get_linestyle()) for line in curves}
    assert len(looks) == 2
    assert legend(ax) == ["succeeded", "failed"]


def test_svg_takes_the_colour_of_the_page() -> None:
    assert to_hex(INK) == INK  # else matplotlib writes it in another way
    summary = summarise_comparison(make_comparison({"bc": 0.3, "<script>$x$": 0.5, "_hidden": 0.5}))
    text = figures.svg(lambda ax: figures.draw_success(ax, summary), 2.0, 'a "label" <')
    assert text.startswith('<svg role="img" aria-label="a &quot;label&quot; &lt;"')
    assert "currentColor" in text
    assert INK not in text
    assert "#000000" not in text
    assert "<script>" not in text
    # as text, and not only in the comments that matplotlib leaves for paths
    assert ">&lt;script&gt;$x$</text>" in text
    assert "_hidden</text>" in text


def test_svg_is_the_same_each_time() -> None:
    summary = summarise_comparison(make_comparison())
    once, again = (
        figures.svg(lambda ax: figures.draw_placements(ax, summary), 2.0, "x") for _ in range(2)
    )
    assert once == again


@pytest.mark.parametrize(("seeds", "placements"), [(1, 1), (1, 3), (3, 1), (12, 25)])
def test_every_figure_of_any_size_can_be_drawn(seeds: int, placements: int) -> None:
    comparison = make_comparison(
        {"bc": 0.3, "名前": 0.5, "_x": 0.2}, seeds=seeds, placements=placements
    )
    summary = summarise_comparison(comparison)
    for draw in (figures.draw_success, figures.draw_differences, figures.draw_placements):
        assert "名前" in figures.svg(lambda ax, draw=draw: draw(ax, summary), 2.0, "x")  # type: ignore[misc]
    assert "名前" in figures.svg(lambda ax: figures.draw_weights(ax, comparison.arms), 2.0, "x")
    assert "</svg>" in figures.svg(lambda ax: figures.draw_distances(ax, []), 2.0, "x")
