from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vip_offline.report.figures.embedding_paths import Path2D, draw_paths, save_paths


def path(objective: str = "vip", steps: int = 500, length: int = 9) -> Path2D:
    way = np.linspace(0, 1, length, dtype=np.float32)
    return Path2D(objective, steps, np.stack([way, way**2], axis=1))


def test_the_curve_begins_at_one_and_ends_at_the_last_frame() -> None:
    curve = path().curve
    assert (curve[0], curve[-1]) == (pytest.approx(1.0), 0.0)
    assert path().described() == {
        "objective": "vip",
        "steps": 500,
        "bumps": 0.0,
        "order": pytest.approx(1.0),
    }


def test_objectives_stand_side_by_side_and_steps_below_each_other() -> None:
    figure = Figure(figsize=(6, 8), layout="constrained")
    paths = [path(objective, steps) for objective in ("vip", "tcn") for steps in (20, 5)]
    draw_paths(figure, paths)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:2] == ["VIP, 5 steps", "TCN, 5 steps"]
    assert titles[4:6] == ["VIP, 20 steps", "TCN, 20 steps"]
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_the_same_paths_are_the_same_files(tmp_path: Path) -> None:
    written = save_paths([path()], tmp_path)
    assert [path.name for path in written] == ["figure-2.png", "figure-2.svg"]
    assert np.asarray(Image.open(written[0])).std() > 10
    before = written[0].read_bytes()
    assert save_paths([path()], tmp_path)[0].read_bytes() == before
