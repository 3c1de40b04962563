"""How long `vip-offline look` takes on a phone video, beside what it cannot do without.

``python -m benchmarks.look [--quick]`` draws the video of ``recipes/example_clip.py`` (10 s, 1080p,
30 frames per second, H.264; with ``--quick`` 3 s of it). In turns, in one process and after a
warm-up, it

- looks at it: decodes, embeds by lite0, computes the controls, draws and writes picture, film and
  numbers;
- decodes it to RGB and embeds each frame, as `relabel` does: the bound;
- decodes it to small RGB, as `look` does, and embeds each frame: the nearer bound, since shrinking
  before RGB is made is one of the means by which `look` is fast.

Then it runs the command as a user does, in a process of its own, twice: the first time may export
the encoder's graph.

Last line: one JSON object with

- ``seconds``: of the whole command, interpreter and imports included (the second run);
- ``vs_bound``: time of the bound over that of a look, median of the turns;
- ``vs_small_bound``: the same of the nearer bound.
"""

import argparse
import json
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from vip_offline.analysis.look import SHORT, look_at, open_look
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, decode_frames, decode_small
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.experiments.look import write_look
from vip_offline.utils.console import Console

CLIP = Path(__file__).parents[1] / "recipes/example_clip.py"
LOOK, BOUND, SMALL = "look", "limit: decode and embed", "limit: decode small and embed"

Frames = Iterator[NDArray[np.uint8]]


def look(path: Path, encoder: Encoder, out: Path) -> None:
    """All that the command does, but for loading."""
    for found in look_at(open_look([path], ""), encoder):
        write_look(found, out)


def decode_and_embed(
    path: Path, encoder: Encoder, decode: Callable[[Decoder, list[int]], Frames]
) -> None:
    """Decode all frames once, and embed them beside it."""
    decoder = Decoder(path)
    frames = decode(decoder, [int(stamp) for stamp in timeline(path).pts])
    for _ in encoder.stream(batches(frames, encoder.backend.batch), np.stack):
        pass
    decoder.close()


def batches(frames: Frames, size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """Lists of so many frames."""
    while batch := [frame for _, frame in zip(range(size), frames, strict=False)]:
        yield batch


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    turns, length = (2, 3.0) if quick else (5, 10.0)
    encoder = load_encoder("lite0")
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "my-video.mp4", Path(folder) / "out"
        runpy.run_path(str(CLIP))["write_clip"](path, length)
        sides: dict[str, Callable[[], None]] = {
            LOOK: lambda: look(path, encoder, out),
            BOUND: lambda: decode_and_embed(path, encoder, decode_frames),
            SMALL: lambda: decode_and_embed(
                path, encoder, lambda decoder, pts: decode_small(decoder, pts, SHORT)
            ),
        }
        took: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(turns + 1):
            for name, side in sides.items():
                seconds = timed(side)
                took[name] += [seconds] if turn else []  # the first warms up
        command = [sys.executable, "-m", "vip_offline", "look", str(path), "--out", str(out)]
        whole = [
            timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            for _ in range(2)
        ]
    took["the command, with imports"] = whole[1:]
    table = Table(box=None, title=f"{length:.0f} s of 1080p at 30 frames/s, lite0, {turns} turns")
    for heading in ("side", "seconds, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name, values in took.items():
        table.add_row(name, *(f"{v:.2f}" for v in (median(values), min(values), max(values))))
    Console(width=80).print(table)
    ours = np.array(took[LOOK])
    result = {
        "seconds": round(whole[-1], 2),
        "vs_bound": round(float(np.median(took[BOUND] / ours)), 3),
        "vs_small_bound": round(float(np.median(took[SMALL] / ours)), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
