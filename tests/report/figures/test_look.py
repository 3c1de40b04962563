"""What the picture and the panel of a look show, by what is on their axes."""

from pathlib import Path

import numpy as np
import pytest
from made_up_videos import write_crossing
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vip_offline.analysis.look import Look, look_at, open_look
from vip_offline.encoders.encoder import load_encoder
from vip_offline.report.figures import look as figures


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Look:
    path = write_crossing(tmp_path_factory.mktemp("look") / "a.mp4", frames=30)
    (look,) = look_at(open_look([path], ""), load_encoder("pixels"))
    return look


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def test_pictures_stand_in_a_row_above_their_times(ax: Axes, crossing: Look) -> None:
    figures.draw_pictures(ax, crossing)
    (strip,) = ax.get_images()
    assert strip.get_size()[0] == figures.PICTURE_HEIGHT
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert (names[0], len(names)) == ("0.0 s", figures.PICTURES)
    assert names[-1] == f"{crossing.seconds[-1]:.1f} s"
    assert len(ax.get_yticks()) == 0
    assert not any(spine.get_visible() for spine in ax.spines.values())


def test_curves_fill_their_axes(ax: Axes, crossing: Look) -> None:
    figures.draw_look(ax, crossing)
    top = crossing.curves[0].distance.max()
    lines = [line for line in ax.get_lines() if len(np.atleast_1d(line.get_xdata())) == 30]
    assert len(lines) == len(crossing.curves)
    for line in lines:  # the controls are scaled to the encoder's greatest distance
        assert np.max(line.get_ydata()) == pytest.approx(top)
    assert ax.get_xlim() == pytest.approx((0, crossing.seconds[-1]))
    assert ax.get_ylim() == pytest.approx((0, 1.04 * top))
    assert "(s)" in ax.get_xlabel() and "units" in ax.get_ylabel()


def test_the_picture_is_a_whole_file_of_its_size(tmp_path: Path, crossing: Look) -> None:
    figures.write_figure(crossing, tmp_path / "new" / "look.png")
    with Image.open(tmp_path / "new" / "look.png") as picture:
        picture.load()
        width, height = (round(inches * figures.DPI) for inches in figures.SIZE_INCHES)
        assert (picture.size, picture.mode) == ((width, height), "RGB")
