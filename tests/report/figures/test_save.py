import io
from pathlib import Path

import numpy as np
import pytest
from made_up_analysis import LABELLINGS, make_analysis
from PIL import Image

from vip_offline.errors import VipOfflineError
from vip_offline.report.figures.save import save_figures


@pytest.mark.slow
def test_one_file_per_figure_labelling_and_format(tmp_path: Path) -> None:
    analysis = make_analysis(4, 8, LABELLINGS[:2], 1, thumbnails=False)
    paths = save_figures(analysis, tmp_path / "figures")
    names = {path.name for path in paths}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    assert len(names) == len(paths)
    for figure in ("curves-vip", "curves-to-own-end-vip", "curves-raw-pixels", "embedding-vip",
                   "true-reward-lite0-dense", "sample-size-vip", "rewards",
                   "rewards-lite0-dense-less-vip", "bumps", "order", "separation",
                   "signal"):  # fmt: skip
        assert {f"{figure}.png", f"{figure}.svg"} <= names, figure
    with Image.open(tmp_path / "figures" / "curves-vip.png") as picture:
        assert picture.size == (1410, 900)  # 4.7 by 3 inches
        assert round(picture.info["dpi"][0]) == 300
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[0, 0] == 255).all()  # on white
    assert (pixels < 200).any()
    text = (tmp_path / "figures" / "curves-vip.svg").read_text()
    assert "succeeded (3)</text>" in text  # as text, which may be edited


@pytest.mark.slow
def test_the_same_figures_are_the_same_files(tmp_path: Path) -> None:
    analysis = make_analysis(3, 6, LABELLINGS[:1], 0, thumbnails=False)
    for folder in ("a", "b"):
        save_figures(analysis, tmp_path / folder)
    assert len(list((tmp_path / "b").iterdir())) > 10
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_names_of_others_make_file_names(tmp_path: Path) -> None:
    names = ("../../x/y", "VIP", "vip", "<>:", "名前")
    analysis = make_analysis(3, 5, names, 0, thumbnails=False, true=False)
    paths = save_figures(analysis, tmp_path, formats=["svg"])
    curves = {path.name for path in paths if path.name.startswith("curves-")
              and "own" not in path.name}  # fmt: skip
    assert curves == {"curves-x-y.svg", "curves-VIP.svg", "curves-vip-2.svg",
                      "curves-unnamed.svg", "curves-名前.svg"}  # fmt: skip
    assert all(path.parent == tmp_path and path.is_file() for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["failures", "nan", "one frame"])
def test_what_has_no_numbers_has_no_file(kind: str, tmp_path: Path) -> None:
    analysis = make_analysis(
        2, 1 if kind == "one frame" else 8, LABELLINGS[:1], 1, thumbnails=False, true=False,
        nan=kind == "nan", outcomes="failures",
    )  # fmt: skip
    names = {path.stem for path in save_figures(analysis, tmp_path, formats=["svg"])}
    assert "curves-lite0-dense" in names
    assert "separation" not in names
    assert ("sample-size-lite0-dense" in names) == (kind == "failures")
    assert ("bumps" in names) == (kind != "one frame")


@pytest.mark.slow
def test_pdf_is_a_format_and_gif_is_not(tmp_path: Path) -> None:
    analysis = make_analysis(2, 5, LABELLINGS[:1], 0, thumbnails=False, true=False)
    paths = save_figures(analysis, tmp_path, formats=["pdf"])
    assert all(io.BytesIO(path.read_bytes()).read(5) == b"%PDF-" for path in paths)
    with pytest.raises(VipOfflineError, match=r"gif: is no format .* svg, pdf, png"):
        save_figures(analysis, tmp_path / "none", formats=["png", "gif"])
    assert not (tmp_path / "none").exists()
