"""Lists of the episodes to keep, as `train --episodes` takes them, and tools of their origin."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.analysis.curation.ranking import worst_segments
from vip_offline.analysis.curation.results import Curation
from vip_offline.dataset.importers.formats.robomimic import Robomimic
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.training.data.episode_list import lengths_of
from vip_offline.utils.files import replace_file, write_json

KEEP, RANDOM, SHORTEST = "keep.json", "random.json", "shortest.json"
KEEP_LEROBOT, DROP_LEROBOT = "keep-lerobot.json", "drop-lerobot.json"
KEEP_ROBOMIMIC = "keep-robomimic.json"
DRAW_SEED = 0  # of the control that drops as many at random


def write_lists(store: Store, curation: Curation, out: Path) -> tuple[list[str], list[str]]:
    """Write those to keep, beside two controls of as many.

    Returns:
        Names of the files, and sentences on what was not written.
    """
    kept = curation.kept
    (row,) = curation.analysis.labellings
    of_reward = {
        "label": row.name,
        "least": curation.least,
        "reasons": {str(episode.episode): list(episode.reasons) for episode in curation.ranked},
        "segments": [
            {
                "episode": episode,
                "start": segment.start,
                "stop": segment.stop,
                "lost": round(segment.lost, 4) if np.isfinite(segment.lost) else None,
                "reason": segment.reason,
            }
            for episode, segment in worst_segments(curation.ranked)
        ],
        "notes": list(curation.notes),
    }
    drawn = np.random.default_rng(DRAW_SEED).permutation(len(store))[: len(kept)]
    shortest = np.argsort(lengths_of(store), kind="stable")[: len(kept)]
    files: dict[str, Any] = {
        KEEP: {**_list(store, kept), **of_reward},
        RANDOM: _list(store, sorted(drawn.tolist())),
        SHORTEST: _list(store, sorted(shortest.tolist())),
    }
    others, notes = _of_origin(store, kept)
    files |= others
    for name in (KEEP_LEROBOT, DROP_LEROBOT, KEEP_ROBOMIMIC):  # of another origin before
        if name not in files:
            (out / name).unlink(missing_ok=True)
    for name, content in files.items():
        if isinstance(content, list):  # on one line, as a shell passes it on
            replace_file(out / name, f"{json.dumps(content)}\n".encode())
        else:
            write_json(content, out / name)
    return [*files], notes


def _list(store: Store, kept: Sequence[int]) -> dict[str, Any]:
    return {
        "keep": list(kept),
        "drop": _dropped(store, kept),
        "episodes": len(store),
        "lengths": lengths_of(store),
    }


def _dropped(store: Store, kept: Sequence[int]) -> list[int]:
    return sorted(set(range(len(store))) - set(kept))


def _of_origin(store: Store, kept: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    """The same choice by the numbers or names that the origin has for its episodes."""
    format_ = str(store.attributes.get("source_format", ""))
    if "source_episode" not in store.keys("meta"):
        return {}, []
    numbers = [int(number) for number in store.meta("source_episode")]
    keep, drop = ([numbers[index] for index in part] for part in (kept, _dropped(store, kept)))
    if format_.startswith("LeRobotDataset"):
        return {KEEP_LEROBOT: keep, DROP_LEROBOT: drop}, []
    if not format_.startswith("robomimic"):
        return {}, []
    path = Path(str(store.attributes["source"]))
    try:
        with closing(Robomimic(path)) as origin:
            names = origin.demos
    except (VipOfflineError, OSError) as error:
        return {}, [f"{KEEP_ROBOMIMIC} is not written, as names are in the file itself: {error}"]
    if max(numbers) >= len(names):
        return {}, [
            f"{KEEP_ROBOMIMIC} is not written: {path} has {len(names)} demonstrations, the store "
            f"is of number {max(numbers)} too. It was changed since it was imported."
        ]
    return {
        KEEP_ROBOMIMIC: {
            "keep": [names[number] for number in keep],
            "drop": [names[number] for number in drop],
        }
    }, []
