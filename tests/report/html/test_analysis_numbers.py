from made_up_analysis import make_analysis

from vip_offline.report.html.analysis_numbers import known_measures


def test_each_line_has_a_cell_per_row_and_says_over_how_many_steps() -> None:
    analysis = make_analysis()
    lines = known_measures(analysis)
    assert all(len(line.cells) == len(analysis.rows) for line in lines)
    signal = [line.heading for line in lines if line.heading.startswith("signal")]
    assert signal == [f"signal / noise, {n}" for n in ("1 step", "5 steps", "20 steps")]
