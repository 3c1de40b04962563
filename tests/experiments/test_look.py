"""The command `look`, from videos to files, and what it refuses."""

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from in_process import invoke, refusal
from made_up_videos import crossing, write_crossing
from PIL import Image

from vip_offline.dataset.media.video import write_video
from vip_offline.experiments.look import output_folders


def test_a_video_leaves_a_curve_a_picture_a_film_and_numbers(tmp_path: Path) -> None:
    write_crossing(tmp_path / "my-video.mp4", rate=10, frames=30, size=(120, 160))
    ended = invoke("look", "my-video.mp4", "--encoder", "pixels", cwd=tmp_path)
    assert ended.code == 0, ended
    assert "\x1b" not in ended.stdout
    lines = ended.stdout.splitlines()
    assert max(len(line) for line in lines if not line.startswith("note")) <= 80
    assert lines[0] == "my-video.mp4: 30 frames, 2.9 s, 160 x 120 px"
    assert "its own last frame, where it ends at 0, by pixels" in lines[1]
    words = " ".join(ended.stdout.split())
    assert re.search(r"raw pixels[a-z ]*: nearly the same, so this video alone is no", words)
    folder = tmp_path / "runs/look/my-video"
    assert {path.name for path in folder.iterdir()} == {"look.png", "look.mp4", "look.json"}
    with Image.open(folder / "look.png") as picture:
        assert picture.size == (1000, 625)
    with av.open(str(folder / "look.mp4")) as film:
        assert float(film.streams.video[0].average_rate or 0) == pytest.approx(10)
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 30 and shown[0].shape == (600, 640, 3)
    last = np.asarray(Image.fromarray(crossing(30, (120, 160))[-1]).resize((480, 360)))
    assert np.abs(shown[-1][:360, 80:560].astype(int) - last).mean() < 6
    ink = [int((frame[360:].min(axis=-1) < 120).sum()) for frame in shown]
    assert ink[0] + 500 < ink[15] and ink[15] + 500 < ink[-1]  # the curve grows
    numbers = json.loads((folder / "look.json").read_text())
    assert len(numbers["seconds"]) == len(numbers["curves"]["pixels"]["distance"]) == 30


def test_json_alone_is_printed_and_files_are_written_anew(tmp_path: Path) -> None:
    paths = [write_crossing(tmp_path / f"{name}/front.mp4") for name in "ab"]
    for way in (1.0, 0.5):
        write_crossing(paths[1], way=way)
        ended = invoke("look", *paths, "--encoder", "pixels", "--json", "--out", tmp_path / "out")
        first, second = json.loads(ended.stdout)
        assert second["curves"]["clock"]["order"] == 1 and "seconds" not in first
        written = json.loads((tmp_path / "out/front-2/look.json").read_text())
        assert written["curves"]["pixels"]["order"] == second["curves"]["pixels"]["order"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"front", "front-2"}
    assert not list(tmp_path.rglob("*.partial"))


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    video, other = (write_crossing(tmp_path / name) for name in ("a.mp4", "b.mp4"))
    write_video(tmp_path / "one.mp4", crossing(1), 10)
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:900])
    (tmp_path / "file").touch()
    for words, message in (
        (["missing.mp4"], "missing.mp4: is no file. Name a video."),
        (["notes.txt"], "notes.txt: is no video that can be opened"),
        (["cut.mp4"], "cut.mp4: "),
        (["one.mp4"], "one.mp4: holds one picture, and a curve takes two or more."),
        (["a.mp4", "./a.mp4"], "a.mp4: is given twice"),
        (["a.mp4", "--goal", "last"], "--goal last: is no file. Name a picture."),
        (["a.mp4", "--goal", "notes.txt"], "notes.txt: is no picture that can be read"),
        (["a.mp4", "--encoder", "pixles"], "Unknown encoder 'pixles'. Did you mean 'pixels'?"),
        (["a.mp4", "--out", "file"], "file: "),
    ):
        text = refusal("look", *words, cwd=tmp_path)
        assert message in " ".join(text.split()), text
        assert text.count("\n") == 1
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("look.*"))
    assert other.exists()


def test_a_film_never_replaces_the_video(tmp_path: Path) -> None:
    video = write_crossing(tmp_path / "look.mp4")
    before = video.read_bytes()
    assert "is where its film would be written" in refusal(
        "look", video, "--encoder", "pixels", "--out", tmp_path
    )
    assert video.read_bytes() == before


def test_each_of_several_videos_has_its_folder() -> None:
    videos = [Path("x/Front.mp4"), Path("y/front.mp4"), Path("side.mov")]
    assert [folder.name for folder in output_folders(videos, None)] == ["Front", "front-2", "side"]
    assert output_folders(videos[:1], Path("here")) == [Path("here")]
