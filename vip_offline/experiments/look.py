"""A look at videos, and what it leaves: a picture, a film and numbers of each."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vip_offline.analysis.look import Look, look_at, open_look, summarise_look
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.stages import encoder_stage
from vip_offline.options import LookOptions
from vip_offline.options.fields import check_ranges
from vip_offline.report.figures.look import film_panel, write_figure, write_look_film
from vip_offline.utils.console import Bar
from vip_offline.utils.files import require_writable, write_json

RUNS = Path("runs/look")
FIGURE, FILM, NUMBERS = "look.png", "look.mp4", "look.json"


def look_stage(
    videos: Sequence[Path],
    options: LookOptions,
    out: Path | None,
    bar: Bar,
    say: Callable[[str], None],
) -> Iterator[tuple[Look, Path]]:
    """Look at videos, and write a folder for each; yield the look and its folder.

    Args:
        videos: of one task.
        options: encoder and goal.
        out: the folder of a single video; of several the one above theirs. None: `RUNS`.
        bar: shows progress.
        say: called with a sentence before work that is done once.

    Raises:
        VipOfflineError: see `open_look`, `look_at` and `output_folders`.
    """
    check_ranges(options)
    check_encoder(options.encoder, options.weights)
    opened = open_look(videos, options.goal)
    folders = output_folders(videos, out)
    for folder in folders:
        require_writable(folder)
    encoder = encoder_stage(options, bar, say)
    with bar("look", opened.frames, "frame") as advance:
        for look, folder in zip(look_at(opened, encoder, advance), folders, strict=True):
            write_look(look, folder)
            yield look, folder


def write_look(look: Look, folder: Path) -> None:
    """Write picture, film and numbers; each replaces an earlier one when it is whole."""
    panel = film_panel(look)
    with ThreadPoolExecutor(1) as pool:  # the film is x264's work, the picture Python's
        film = pool.submit(write_look_film, look, panel, folder / FILM)
        write_figure(look, folder / FIGURE)
        film.result()
    write_json(summarise_look(look), folder / NUMBERS)


def output_folders(videos: Sequence[Path], out: Path | None) -> list[Path]:
    """One folder per video, named after it; of two videos of one name the second is ``name-2``.

    Raises:
        VipOfflineError: if a film would replace one of the videos.
    """
    if out is not None and len(videos) == 1:
        folders = [out]
    else:
        folders, names = [], list[str]()
        for video in videos:
            names.append(video.stem.casefold())
            again = names.count(names[-1])
            folders.append((out or RUNS) / (video.stem + (f"-{again}" if again > 1 else "")))
    for folder in folders:
        for video in videos:
            if (folder / FILM).resolve() == video.resolve():
                raise VipOfflineError(
                    f"{video}: is where its film would be written. Choose another --out."
                )
    return folders
