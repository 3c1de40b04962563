"""The colours, as people with any colour vision see them on a white and on a dark page."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vip_offline.report.figures.colors import GREY, INK, LINES, MARKERS, OUTCOMES, PALETTE

APART = 15  # of CIELAB, from which on two lines are told apart beside each other
WHITE, DARK = "#ffffff", "#14181d"  # the grounds of style.css
# linear RGB as dichromats see it: Machado, Oliveira and Fernandes (2009), severity 1
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Light of the three primaries (sRGB)."""
    values = np.array(to_rgb(color))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(color: str, vision: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """CIELAB of a colour as somebody sees it."""
    seen = np.clip(np.asarray(VISION[vision]) @ linear(color), 0, 1)
    ratios = XYZ @ seen / XYZ.sum(axis=1)
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: 3 is what a line must have, 4.5 what text must."""
    dark, light = sorted(float(XYZ[1] @ linear(color)) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21)
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("color", [color for color in (*PALETTE, GREY) if color != INK])
@pytest.mark.parametrize("ground", [WHITE, DARK])
def test_a_line_stands_out_from_the_page(color: str, ground: str) -> None:
    assert contrast(color, ground) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart(vision: str) -> None:
    for one, other in combinations(PALETTE, 2):
        assert np.linalg.norm(lab(one, vision) - lab(other, vision)) > APART, (one, other)
    good, bad = (look.color for look in OUTCOMES.values())
    assert np.linalg.norm(lab(good, vision) - lab(bad, vision)) > 2 * APART


def test_usual_colours_would_fail() -> None:
    """Or the tests above could not: red and green of matplotlib, and two of earlier pages."""
    red, green = (lab(color, "deuteranopia") for color in ("#d62728", "#2ca02c"))
    orange, vermilion = (lab(color, "deuteranopia") for color in ("#e08a00", "#d55e00"))
    assert np.linalg.norm(red - green) < APART > np.linalg.norm(orange - vermilion)
    assert contrast("#e08a00", WHITE) < 3


def test_whatever_colour_says_dashes_and_markers_say_too() -> None:
    assert len({*map(str, LINES)}) == len({*MARKERS}) == 6 > len(PALETTE)
    good, bad = OUTCOMES.values()
    assert good.dashes != bad.dashes and good.marker != bad.marker
