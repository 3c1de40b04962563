"""The folder of one online training: what is in it, and how it is gone on with.

::

    online.toml          all options
    progress.jsonl       one line of numbers per iteration
    policy.safetensors   the weights of the policy as it is now
    evaluation.mp4       the last evaluation, some placements one after the other
    goal-0.png ...       what is to be reached
    checkpoint.npz       where the training stands
    episodes/            what was tried so far, of an algorithm that learns from it again
    online.json          written when it is done: success at the start, at the end, at best
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.config import dump
from vip_offline.dataset.media.video import write_video
from vip_offline.errors import VipOfflineError
from vip_offline.online.environment import Trajectory
from vip_offline.options.online import OnlineRun
from vip_offline.policies.policy import write_tensors
from vip_offline.training.checkpoint import UNREADABLE, Checkpoint, read_checkpoint
from vip_offline.utils.files import replace_file, whole_file

OPTIONS, PROGRESS, WEIGHTS = "online.toml", "progress.jsonl", "policy.safetensors"
FILM, EPISODES, SUMMARY = "evaluation.mp4", "episodes", "online.json"
FILM_RATE = 25  # frames per second of the mp4: the paper's control rate
# what may change from one start to the next: how far it goes, and what it is computed by
FREE = ("steps", "processes", "environments", "videos", "backend", "device")
COLUMNS = ("observation", "action", "reward", "solved", "distance")  # of a `Trajectory`


def identity_of(
    run: OnlineRun, made_of: Sequence[str], encoder: Mapping[str, Any]
) -> dict[str, Any]:
    """What must be equal for a training to be gone on with, as JSON values.

    Args:
        run: all options.
        made_of: hashes of the goal's files and of the policy to start from. The expert's goals
            repeat, and have none.
        encoder: its provenance; empty: there is none.
    """
    settings = asdict(run)
    for name in FREE:
        del settings["online"][name]
    # files are known by what is in them
    for name in ("goal", "init", "weights", *(() if encoder else ("encoder", "fit"))):
        del settings["online"][name]
    del settings["sac" if run.online.algo == "npg" else "npg"]
    values = {**settings, "made_of": list(made_of), "encoder": dict(encoder)}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def existing(folder: Path, identity: Mapping[str, Any]) -> Checkpoint | None:
    """Where the same training stopped; None if it never began.

    Raises:
        VipOfflineError: if another training, or anything else, is in the folder.
    """
    checkpoint = read_checkpoint(folder) if folder.is_dir() else None
    if checkpoint is None:
        mine = {OPTIONS, EPISODES, PROGRESS, WEIGHTS, FILM, SUMMARY}
        others = [
            path.name
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.name not in mine and not path.name.startswith((".", "goal-"))
        ]
        if others:
            raise VipOfflineError(
                f"{folder}: holds {sorted(others)[0]}, which no online training wrote. Give "
                "another --out."
            )
        return None
    before = {key: value for key, value in checkpoint.identity.items() if key != "read"}
    if before != identity:
        differing = _differing(before, identity)
        raise VipOfflineError(
            f"{folder}: holds a training with another {differing}. Give another --out, or remove "
            "the folder."
        )
    return checkpoint


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the first difference, such as ``gamma (0.99, now 0.995)``."""
    for key in sorted({*before, *now}):
        its, ours = before.get(key), now.get(key)
        if its == ours:
            continue
        if isinstance(its, dict) and isinstance(ours, dict):
            return _differing(its, ours)
        return f"{key} ({its!r}, now {ours!r})"
    return "setting"


def write_options(folder: Path, run: OnlineRun) -> None:
    """Write ``online.toml``."""
    replace_file(folder / OPTIONS, dump(run).encode())


def write_goal(folder: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Write the goal pictures, for people to look at."""
    for index, picture in enumerate(pictures):
        with whole_file(folder / f"goal-{index}.png") as partial:
            Image.fromarray(picture).save(partial, format="PNG")


def write_progress(folder: Path, metrics: Sequence[Mapping[str, float]]) -> None:
    """Write one line per iteration."""
    lines = "".join(json.dumps(dict(line)) + "\n" for line in metrics)
    replace_file(folder / PROGRESS, lines.encode())


def progress_is_current(folder: Path, checkpoint: Checkpoint) -> bool:
    """Whether all was written that a process writes after the checkpoint."""
    try:
        return len((folder / PROGRESS).read_text().splitlines()) == len(checkpoint.metrics)
    except FileNotFoundError:
        return False


def write_weights(folder: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write the weights of the policy."""
    with whole_file(folder / WEIGHTS) as partial:
        write_tensors(partial, tensors)


def write_film(folder: Path, films: Mapping[int, NDArray[np.uint8]]) -> None:
    """Write placements one after the other; nothing where none was filmed."""
    if films:
        frames = (frame for index in sorted(films) for frame in films[index])
        write_video(folder / FILM, frames, FILM_RATE)


def write_episodes(folder: Path, iteration: int, episodes: Sequence[Trajectory]) -> None:
    """Keep an iteration's episodes, all of one length, for `read_episodes`."""
    columns: dict[str, Any] = {
        name: np.stack([getattr(e, name) for e in episodes]) for name in COLUMNS
    }
    with whole_file(_episodes(folder, iteration)) as partial, partial.open("wb") as file:
        np.savez(file, **columns)


def read_episodes(folder: Path, iteration: int) -> list[Trajectory]:
    """Read what `write_episodes` wrote.

    Raises:
        VipOfflineError: if the file is gone or damaged.
    """
    path = _episodes(folder, iteration)
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = [file[name] for name in COLUMNS]
    except (OSError, ValueError, KeyError, EOFError, *UNREADABLE) as error:
        raise VipOfflineError(
            f"{path}: cannot be read ({error}), and the training goes on from it. Remove {folder} "
            "to train from the beginning."
        ) from None
    return [Trajectory(*rows) for rows in zip(*columns, strict=True)]


def _episodes(folder: Path, iteration: int) -> Path:
    return folder / EPISODES / f"{iteration:06d}.npz"
