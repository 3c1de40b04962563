from functools import partial

import numpy as np
import pytest
from made_up_analysis import CONTROLS, LABELLINGS, ODD, make_analysis, make_row
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from vip_offline.analysis.metrics import Noise, Separation, normalised, reward_histogram
from vip_offline.report.figures import analysis as figures
from vip_offline.report.figures.colors import BLUE, GREY, INK, VERMILION
from vip_offline.report.figures.comparison import svg


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def legend(ax: Axes) -> list[str]:
    box = ax.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def line_at(ax: Axes, **at: float) -> bool:
    """Whether there is a line across the axes at x or y."""
    ((axis, value),) = at.items()
    return any(
        np.allclose(np.asarray(getattr(line, f"get_{axis}data")()), value)
        for line in ax.get_lines()
        if len(np.asarray(line.get_xdata())) == 2
    )


def points_of(ax: Axes, marker: str, color: str | None = None) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for line in ax.get_lines():
        if line.get_marker() == marker and color in (None, line.get_color()):
            points += zip(np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float),
                         strict=True)  # fmt: skip
    return points


def dots_in(scatter: PathCollection) -> int:
    return len(np.asarray(scatter.get_offsets()))


def curves_of(ax: Axes, color: str) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    return [
        np.asarray(path.vertices)
        for collection in ax.collections
        if isinstance(collection, LineCollection)
        and to_hex(np.asarray(collection.get_color())[0]) == color
        for path in collection.get_paths()
    ]


# --- over time -----------------------------------------------------------------------------


def test_curves_start_at_one_and_outcomes_differ_without_colour(ax: Axes) -> None:
    analysis = make_analysis()
    row = analysis.rows[0]
    figures.draw_curves(ax, row, analysis.success)
    good, bad = curves_of(ax, BLUE), curves_of(ax, VERMILION)
    assert (len(good), len(bad)) == (8, 4)
    assert all(curve[0].tolist() == [0, 1] for curve in good + bad)
    index = int(np.flatnonzero(~analysis.success)[0])
    np.testing.assert_allclose(bad[0][:, 1], normalised(row.distances[index]))
    dashes = [collection.get_linestyle()[0] for collection in ax.collections
              if isinstance(collection, LineCollection)]  # fmt: skip
    assert dashes[0] != dashes[1]
    assert points_of(ax, "o") and points_of(ax, "x")
    assert legend(ax)[:2] == ["succeeded (8)", "failed (4)"]
    assert "frames" in ax.get_xlabel()


def test_many_curves_are_thinned_and_have_a_median(ax: Axes) -> None:
    rng = np.random.default_rng(0)
    ends = rng.uniform(0, 1, 40)
    curves = tuple(np.linspace(2, 2 * end, 200) for end in ends)
    row = make_row("many", curves, np.ones(40, bool), weightings=())
    figures.draw_curves(ax, row, np.ones(40, bool), points=10)
    thin = curves_of(ax, BLUE)
    assert {len(curve) for curve in thin} == {10}
    assert all(curve[-1, 0] == 199 for curve in thin)
    median = ax.get_lines()[-1]
    assert np.asarray(median.get_ydata())[-1] == pytest.approx(np.median(ends))
    assert legend(ax) == ["succeeded (40)", "median, middle half"]


def test_an_episode_that_is_over_keeps_its_distance_in_the_median(ax: Axes) -> None:
    short = tuple(np.linspace(1, 0.2, 5) for _ in range(6))
    long = tuple(np.linspace(1, 0.9, 20) for _ in range(5))
    row = make_row("x", (*short, *long), np.ones(11, bool), weightings=())
    figures.draw_curves(ax, row, np.ones(11, bool))
    median = np.asarray(ax.get_lines()[-1].get_ydata())
    assert len(median) == 20
    assert median[-1] == pytest.approx(0.2)


def test_few_curves_have_no_median(ax: Axes) -> None:
    analysis = make_analysis(6)
    figures.draw_curves(ax, analysis.rows[0], analysis.success)
    assert legend(ax) == ["succeeded (4)", "failed (2)"]


def test_one_wild_curve_does_not_flatten_the_others(ax: Axes) -> None:
    tame = [np.linspace(1, 0, 10)] * 20
    row = make_row("x", (*tame, np.linspace(1, 90, 10)), np.ones(21, bool), weightings=())
    figures.draw_curves(ax, row, np.ones(21, bool))
    assert ax.get_ylim()[1] < 2
    assert [text.get_text() for text in ax.texts] == ["1 goes higher, up to 90"]


def test_curves_to_each_episodes_own_end(ax: Axes) -> None:
    analysis = make_analysis()
    figures.draw_curves(ax, analysis.rows[0], analysis.success, to="own end")
    assert all(curve[-1, 1] == 0 for curve in curves_of(ax, BLUE) + curves_of(ax, VERMILION))
    assert "last frame" in ax.get_ylabel()


def test_an_episode_whose_goal_is_not_known_is_left_out(ax: Axes) -> None:
    analysis = make_analysis(nan=True)
    figures.draw_curves(ax, analysis.rows[0], analysis.success)
    assert len(curves_of(ax, BLUE)) == 7
    assert legend(ax)[0] == "succeeded (7)"


def test_one_episode_has_a_curve_per_row_and_grey_controls(ax: Axes) -> None:
    analysis = make_analysis(nan=True)
    figures.draw_curve_of(ax, analysis.rows, 0)  # of which only time is known
    assert legend(ax) == ["time"]
    ax.clear()
    figures.draw_curve_of(ax, analysis.rows, 3)
    assert legend(ax) == [*LABELLINGS[:2], *CONTROLS]
    colors = [line.get_color() for line in ax.get_lines()]
    assert colors[2:] == [GREY] * 3
    assert len({*colors}) == 3
    for line, row in zip(ax.get_lines(), analysis.rows, strict=True):
        np.testing.assert_allclose(np.asarray(line.get_ydata()), normalised(row.distances[3]))


def test_each_row_looks_its_own_way_without_colour() -> None:
    rows = make_analysis(3, 5, [f"l{n}" for n in range(6)]).rows
    looks = figures.looks_of(rows)
    assert len({str(look.dashes) for look in looks[:6]}) == 6
    assert len({look.marker for look in looks[:6]}) == 6
    assert len({str(look.dashes) for look in looks[6:]}) == 3
    assert {look.color for look in looks[6:]} == {GREY}


@pytest.mark.parametrize(("name", "shown"), [("lite0", "lite0"), ("a\n b", "a b")])
def test_short_names_stay(name: str, shown: str) -> None:
    assert figures.short(name) == shown


def test_long_names_keep_both_ends() -> None:
    shortened = figures.short("resnet50-" + "x" * 60 + "-step-9000", 20)
    assert len(shortened) == 20
    assert shortened.startswith("resnet50") and shortened.endswith("step-9000")


# --- rewards -------------------------------------------------------------------------------


def test_histograms_are_of_curves_that_start_at_one_and_meet_at_zero(ax: Axes) -> None:
    curve = np.array([4.0, 3.0, 3.5, 1.0])
    small = make_row("small", (curve,), np.ones(1, bool), weightings=())
    large = make_row("large", (100 * curve,), np.ones(1, bool), weightings=())
    np.testing.assert_allclose(figures.rewards_from_one(small), [0.25, -0.125, 0.625])
    figures.draw_histogram(ax, [small, large])
    a, b = (patch for patch in ax.patches if hasattr(patch, "get_data"))
    np.testing.assert_allclose(a.get_data().values, b.get_data().values)
    assert a.get_data().values.sum() == pytest.approx(100)
    assert 0 in a.get_data().edges
    assert legend(ax) == ["small", "large", "first positive bin"]


def test_histogram_on_a_logarithmic_axis(ax: Axes) -> None:
    figures.draw_histogram(ax, make_analysis().rows, log=True)
    assert ax.get_yscale() == "log"


def test_count_difference_of_each_bin(ax: Axes) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for name, spread in (("a", 0.01), ("b", 0.05)):
        curve = 1 + rng.normal(0, spread, 3000).cumsum() / 100
        rows.append(make_row(name, (curve,), np.ones(1, bool), weightings=(), plane=False))
    figures.draw_count_difference(ax, *rows)
    histogram = reward_histogram([figures.rewards_from_one(row) for row in rows])
    a, b = histogram.counts
    bars = {round(bar.get_x() + bar.get_width() / 2, 9): bar.get_height() for bar in ax.patches  # type: ignore[attr-defined]
            if abs(bar.get_width() - 0.9 * np.diff(histogram.edges)[0]) < 1e-12}  # type: ignore[attr-defined] # fmt: skip
    middles = (histogram.edges[1:] + histogram.edges[:-1]) / 2
    expected = {
        round(middle, 9): 100 * min((x - y) / y, figures.CUT)
        for middle, x, y in zip(middles, a, b, strict=True)
        if y and x != y
    }
    assert bars == pytest.approx(expected)
    assert len(expected) > 10
    beyond = sum(y > 0 and (x - y) / y > figures.CUT for x, y in zip(a, b, strict=True))
    assert len(points_of(ax, "^")) == beyond > 0
    assert legend(ax) == ["more of a", "more of b", "beyond 200 %"]


def test_dense_rewards_have_their_line_and_fit(ax: Axes) -> None:
    rng = np.random.default_rng(0)
    curves = tuple(rng.uniform(1, 5, 20) for _ in range(4))
    true = tuple(3 * -np.diff(curve) + 1 for curve in curves)
    row = make_row("x", curves, np.ones(4, bool), true, weightings=())
    figures.draw_dense_scatter(ax, row, true)
    assert legend(ax) == ["76 transitions", "best line, R² = 1.00"]
    line = ax.get_lines()[-1]
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    np.testing.assert_allclose(y, 3 * x + 1)


def test_dense_rewards_that_never_change_have_no_line(ax: Axes) -> None:
    curves = (np.linspace(1, 0, 9),)
    row = make_row("x", curves, np.ones(1, bool), (np.ones(8),), weightings=())
    figures.draw_dense_scatter(ax, row, (np.full(8, np.nan),))
    assert legend(ax) == ["0 transitions"]


# --- embeddings ----------------------------------------------------------------------------


def test_plane_has_time_as_colour_and_outcome_as_marker(ax: Axes) -> None:
    analysis = make_analysis(one_frame=True)
    row = analysis.rows[0]
    figures.draw_plane(ax, row, analysis.success)
    dots = [collection for collection in ax.collections if isinstance(collection, PathCollection)]
    assert len(dots) == 2
    assert sum(map(dots_in, dots)) == sum(episode.frames for episode in analysis.episodes)
    times = np.asarray(dots[0].get_array())
    assert times[0] == 0 and times.max() == 100
    good = dots[0].get_paths()[0].vertices, dots[1].get_paths()[0].vertices
    assert len(np.asarray(good[0])) != len(np.asarray(good[1]))
    assert legend(ax) == ["succeeded", "failed"]
    assert "62 %" in ax.get_xlabel()


def test_plane_of_many_is_thinned_evenly(ax: Axes) -> None:
    analysis = make_analysis(20, 50)
    figures.draw_plane(ax, analysis.rows[0], analysis.success, points=100)
    dots = [collection for collection in ax.collections if isinstance(collection, PathCollection)]
    assert sum(map(dots_in, dots)) == 100


def test_no_plane_says_so(ax: Axes) -> None:
    with pytest.raises(ValueError, match="time has no embedding"):
        figures.draw_plane(ax, make_analysis().rows[-1], np.ones(12, bool))


# --- a number per episode, or per row ------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "field", "scale"), [("bumps", "bumps", 100), ("order", "order", 1)]
)
def test_one_dot_per_episode_and_the_mean_of_successes(
    ax: Axes, draw: str, field: str, scale: float
) -> None:
    analysis = make_analysis()
    getattr(figures, f"draw_{draw}")(ax, analysis.rows, analysis.success)
    good, bad = points_of(ax, "o", BLUE), points_of(ax, "x", VERMILION)
    assert (len(good), len(bad)) == (8 * 2, 4 * 2)
    assert len(points_of(ax, "o", GREY)) == 8 * 3
    values = getattr(analysis.rows[0], field)
    assert [x for x, _ in good[:8]] == pytest.approx(scale * values[analysis.success])
    assert all(-0.5 < y < 0 for _, y in good[:8]) and all(0 < y < 0.5 for _, y in bad[:4])
    means = [x for x, _ in points_of(ax, "D")]
    assert means == pytest.approx(
        [scale * getattr(row, field)[analysis.success].mean() for row in analysis.rows]
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        row.name for row in analysis.rows
    ]
    assert "mean ± deviation of successes" in legend(ax)


def test_without_successes_the_mean_is_of_all(ax: Axes) -> None:
    analysis = make_analysis(outcomes="failures")
    figures.draw_bumps(ax, analysis.rows, analysis.success)
    means = [x for x, _ in points_of(ax, "D")]
    assert means[0] == pytest.approx(100 * analysis.rows[0].bumps.mean())
    assert legend(ax)[:2] == ["failed", "mean ± deviation"]


def test_separation_has_both_areas_their_intervals_and_chance(ax: Axes) -> None:
    success = np.arange(8) < 4
    curves = tuple(np.linspace(1, 0.5, 5) for _ in range(8))
    rows = [
        make_row("a", curves, success, weightings=(),
                 came_closer=Separation(0.9, 0.6, 0.97, 4, 4),
                 came_closer_moved=Separation(0.7, 0.3, 0.8, 4, 2)),
        make_row("b", curves, success, weightings=(), came_closer=None, came_closer_moved=None),
    ]  # fmt: skip
    figures.draw_separation(ax, rows)
    np.testing.assert_allclose(points_of(ax, "D"), [(0.9, -0.14)])
    np.testing.assert_allclose(points_of(ax, "s"), [(0.7, 0.16)])
    spans = [np.asarray(line.get_xdata()).tolist() for line in ax.get_lines()]
    assert [0.6, 0.97] in spans and [0.3, 0.8] in spans
    assert line_at(ax, x=0.5)
    assert [yticklabel.get_text() for yticklabel in ax.get_yticklabels()] == ["a", "b"]


def test_sample_size_has_the_papers_tau_cloning_and_what_is_wanted(ax: Axes) -> None:
    row = make_analysis().rows[0]
    figures.draw_effective_sample_size(ax, row)
    assert ax.get_xscale() == "log"
    assert line_at(ax, x=0.1) and line_at(ax, y=95) and line_at(ax, y=10)
    drawn = [np.asarray(line.get_xydata()) for line in ax.get_lines()]
    for weighting in row.weightings:
        curve = np.stack([weighting.taus, 100 * weighting.effective_sample_size], axis=1)
        assert any(np.array_equal(curve, points) for points in drawn)
    marked = [point for marker in "os^" for point in points_of(ax, marker)]
    np.testing.assert_allclose(marked, [(weighting.tau, 10) for weighting in row.weightings])
    low, high = ax.get_xlim()
    assert low < 0.1 < high
    assert all(low < weighting.tau < high for weighting in row.weightings)
    assert legend(ax)[-1] == "the paper's tau, 0.1"
    assert [text.split(" (")[0] for text in legend(ax)[:3]] == ["step", "n-step", "return"]


def test_a_weighting_without_a_temperature_has_no_mark(ax: Axes) -> None:
    row = make_analysis().rows[-1]  # of time all steps are worth the same
    assert np.isnan(row.weightings[0].tau)
    figures.draw_effective_sample_size(ax, row)
    assert legend(ax)[0] == "step"
    assert points_of(ax, "o") == []


def test_signal_is_in_multiples_of_the_noise(ax: Axes) -> None:
    curves = (np.linspace(1, 0, 9),)
    rows = [
        make_row("a", curves, np.ones(1, bool), weightings=(), noise=Noise(0.5, 12),
                 signal={1: 0.25, 5: 1.0, 20: float("nan")}),
        make_row("none", curves, np.ones(1, bool), weightings=(), noise=None),
        make_row("still", curves, np.ones(1, bool), weightings=(), noise=Noise(0.0, 12)),
    ]  # fmt: skip
    figures.draw_signal(ax, rows)
    np.testing.assert_allclose(points_of(ax, "o"), [(1, 0.5), (5, 2)])
    assert legend(ax) == ["a", "as much as noise"]
    assert line_at(ax, y=1)
    assert [xticklabel.get_text() for xticklabel in ax.get_xticklabels()] == ["1", "5", "20"]


# --- all of them ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"outcomes": "failures"},
        {"outcomes": "successes"},
        {"one_frame": True, "episodes": 2},
        {"episodes": 1, "frames": 1, "one_frame": True},
        {"nan": True},
        {"names": ODD, "controls": 0},
        {"episodes": 70},
    ],
    ids=str,
)
def test_every_figure_of_anything_can_be_drawn(case: dict[str, object]) -> None:
    analysis = make_analysis(**{"thumbnails": False, **case})  # type: ignore[arg-type]
    rows, success = analysis.rows, analysis.success
    for row in (rows[0], rows[-1]):
        assert svg(partial(figures.draw_curves, row=row, success=success), 2, "x")
        assert svg(partial(figures.draw_effective_sample_size, row=row), 2, "x")
        if row.plane is not None:
            assert svg(partial(figures.draw_plane, row=row, success=success), 2, "x")
        assert analysis.true_rewards is not None
        true = analysis.true_rewards
        assert svg(partial(figures.draw_dense_scatter, row=row, true_rewards=true), 2, "x")
    for draw in (figures.draw_bumps, figures.draw_order):
        text = svg(partial(draw, rows=rows, success=success), 2, "x")
        assert INK not in text
    for draw_rows in (figures.draw_histogram, figures.draw_separation, figures.draw_signal):
        assert svg(partial(draw_rows, rows=rows), 2, "x")
    assert svg(lambda ax: figures.draw_count_difference(ax, rows[0], rows[-1]), 2, "x")
    assert svg(lambda ax: figures.draw_curve_of(ax, rows, 0), 2, "x")


def test_names_are_text_in_every_script() -> None:
    rows = make_analysis(names=ODD, thumbnails=False).rows
    text = svg(lambda ax: figures.draw_separation(ax, rows), 3, "x")
    assert ">&lt;b&gt;bold&lt;/b&gt;</text>" in text
    assert ">$x_1$ &amp; \\$</text>" in text
    assert "_名前 ünï</text>" in text
    assert "aaa…aaa" in text
