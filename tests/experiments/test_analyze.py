import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import PROGRAM
from in_process import refusal
from store_files import overwrite_attribute

from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import FrameReader
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.analyze import analyze_stage, check_analyze
from vip_offline.options import AnalyzeOptions


def analyze(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "analyze", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_leaves_a_page_numbers_figures_and_films(
    labelled: Path, tmp_path: Path
) -> None:
    done = analyze(labelled, "--figures", "--films", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "runs" / "demos" / "analysis"
    found = json.loads((out / "analysis.json").read_text())
    assert found["rows"][0]["name"] == "pixels"
    assert found["rows"][0]["came_closer"]["auc"] == 1
    page = (out / "report.html").read_text()
    assert found["verdict"][:40] in page
    assert "<svg" in page
    assert {path.suffix for path in (out / "figures").iterdir()} == {".png", ".svg"}
    films = sorted((out / "films").iterdir())
    assert [film.name for film in films] == ["episode-0.mp4", "episode-1.mp4"]
    line = timeline(films[0])
    assert len(line.pts) == 5
    assert FrameReader(line.shape[:2])(films[0], line.pts).max() > 60
    flat = " ".join(done.stdout.split())
    assert "raw pixels *" in flat
    assert "report.html" in flat
    assert max(len(each) for each in done.stdout.splitlines() if "->" not in each) <= 80


@pytest.mark.slow
def test_json_is_json_alone(labelled: Path, tmp_path: Path) -> None:
    done = analyze(labelled, "--json", "--out", tmp_path / "x", cwd=tmp_path)
    assert json.loads(done.stdout)["store"] == str(labelled)
    assert (tmp_path / "x" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--label", "lite0"), "no label 'lite0'"),
        (("--n-steps", "0"), "--n-steps 0"),
        (("--target-ess", "1"), "--target-ess 1"),
        (("--label", "pixels", "--label", "pixels"), "given twice"),
        (("--films", "-1"), "--films -1"),
    ],
)
def test_what_cannot_be_analysed_ends_in_a_message(
    labelled: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refusal("analyze", labelled, *arguments, cwd=tmp_path)
    assert not (tmp_path / "runs").exists()


def test_no_labels_yet(store_path: Path, tmp_path: Path) -> None:
    assert "vip-offline relabel" in refusal("analyze", store_path, cwd=tmp_path)


def test_options_in_range_are_taken() -> None:
    check_analyze(AnalyzeOptions())
    with pytest.raises(VipOfflineError, match="target-ess"):
        check_analyze(AnalyzeOptions(target_ess=0))


def test_a_place_that_cannot_be_written_to_is_found_before_anything_is_looked_at(
    labelled: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    looked = list[str]()

    def bar(description: str, total: int, unit: str) -> Any:
        looked.append(description)
        return contextlib.nullcontext(lambda *args, **kwargs: None)

    with pytest.raises(OSError, match="taken"):
        analyze_stage(labelled, AnalyzeOptions(), tmp_path / "taken" / "x", bar, figures=False)
    assert looked == []
    shutil.rmtree(labelled / "data" / "frames_front")
    overwrite_attribute(labelled, "", arrays=None)  # as if it had been written without
    with pytest.raises(VipOfflineError, match="--films 2: the frames are not in"):
        analyze_stage(labelled, AnalyzeOptions(films=2), tmp_path / "x", bar, figures=False)
    assert looked == []
