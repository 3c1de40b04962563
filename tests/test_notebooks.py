"""Every notebook runs from its first cell to its last, with fewer steps than it shows."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
# what takes minutes and changes no cell: the numbers that a reader sees are of the stored outputs
FEWER = {
    "steps=1_000": "steps=100",
    "episodes=20": "episodes=6",
    "episodes=18, failures=12, image_size=96": "episodes=9, failures=4, image_size=64",
    "placements=5, videos=0": "placements=2, horizon=40, videos=0",
    "steps=120": "steps=12",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    copy, text = tmp_path / path.name, path.read_text()
    for shown, fewer in FEWER.items():
        text = text.replace(shown, fewer)
    copy.write_text(text)
    execute = Path(sys.executable).with_name("jupyter-execute")
    done = subprocess.run(
        [execute, "--timeout=240", copy], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_shows_what_it_gave(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells), "run it and save it with its outputs"
    assert not any(out.output_type == "error" for cell in cells for out in cell.outputs)


def test_there_are_some() -> None:
    assert NOTEBOOKS
    text = "".join(path.read_text() for path in NOTEBOOKS)
    assert all(shown in text for shown in FEWER)
