"""Episodes that somebody chose by their numbers: ``0-9,12``, or a file that keeps a choice."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.utils.files import read_json

SUFFIX = ".json"
OF_ORIGIN = ("-lerobot.json", "-robomimic.json")  # lists of `curate` for other tools
PART = re.compile(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*")


def listed_episodes(store: Store, path: Path, text: str) -> list[int]:
    """The episodes that ``--episodes`` names, in order.

    Args:
        store: they are of.
        path: of the store.
        text: ``0-9,12`` (both ends belong to a range), or a file ``*.json`` of
            ``{"keep": [...]}``, with ``episodes`` and ``lengths`` of its store if it says them.

    Raises:
        VipOfflineError: on what is no list, an episode that is not there or is named twice, a
            file that is of another store, and where nothing is named.
    """
    named = text.endswith(SUFFIX)
    numbers = _read(store, path, Path(text)) if named else _parse(text, len(store))
    if not numbers:
        raise VipOfflineError(
            f"--episodes {text}: names no episode of {path}, so nothing would be learnt. Name some "
            f"of 0 to {len(store) - 1}."
        )
    seen: set[int] = set()
    for number in numbers:
        if not 0 <= number < len(store):
            raise VipOfflineError(
                f"--episodes {text}: names episode {number}, but {path} has {len(store)}, from 0 "
                f"to {len(store) - 1}."
            )
        if number in seen:
            raise VipOfflineError(
                f"--episodes {text}: names episode {number} twice. Name each once; "
                "--weight-by is the way to give one more weight."
            )
        seen.add(number)
    return sorted(numbers)


def _parse(text: str, episodes: int) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        match = PART.fullmatch(part)
        if match is None:
            raise VipOfflineError(
                f"--episodes {text}: {part.strip()!r} is neither a number nor a range such as 0-9. "
                "Give numbers and ranges with commas, or a file *.json."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise VipOfflineError(
                f"--episodes {text}: {part.strip()!r} ends before it begins. Write {last}-{first}."
            )
        # beyond the store one number is enough to say so
        numbers += range(first, min(last, max(episodes, first)) + 1)
    return numbers


def _read(store: Store, path: Path, file: Path) -> list[int]:
    if not file.is_file():
        raise VipOfflineError(f"--episodes {file}: there is no such file.")
    if file.name.endswith(OF_ORIGIN):
        raise VipOfflineError(
            f"--episodes {file}: has the numbers or names that the data set has where the store "
            "was imported from, which are not the store's. Give the keep.json beside it."
        )
    kept = read_json(file)
    numbers: Any = kept.get("keep") if isinstance(kept, dict) else None
    if not isinstance(numbers, list) or not all(
        isinstance(number, int) and not isinstance(number, bool) for number in numbers
    ):
        raise VipOfflineError(
            f"{file}: holds no list of episode numbers under 'keep'. It should be like "
            f"{json.dumps({'keep': [0, 1, 2], 'episodes': len(store)})}."
        )
    assert isinstance(kept, dict)
    told = kept.get("episodes")
    if told is not None and told != len(store):
        raise VipOfflineError(
            f"{file}: is of a store of {told} episodes, {path} has {len(store)}. Choose the "
            "episodes of this store."
        )
    lengths, told = lengths_of(store), kept.get("lengths")
    if told is not None and told != lengths:
        raise VipOfflineError(f"{file}: is of another store: {_differs(told, lengths, path)}")
    return list(numbers)


def with_numbers(store: Store, path: Path, options: TrainOptions) -> TrainOptions:
    """The options with the numbers of the chosen episodes, as a file may say others tomorrow.

    Raises:
        VipOfflineError: see `listed_episodes`.
    """
    if not options.episodes:
        return options
    return replace(options, episodes=as_text(listed_episodes(store, path, options.episodes)))


def _differs(told: Any, lengths: list[int], path: Path) -> str:
    way_out = "Choose the episodes of this store."
    if not isinstance(told, list) or len(told) != len(lengths):
        return f"its lengths are not those of the {len(lengths)} episodes of {path}. {way_out}"
    place = next(place for place, rows in enumerate(lengths) if told[place] != rows)
    return (
        f"episode {place} had {told[place]} rows there, in {path} it has {lengths[place]}. "
        f"{way_out}"
    )


def lengths_of(store: Store) -> list[int]:
    """Rows of each episode, by which a list of episodes knows its store."""
    return [int(stop - start) for start, stop in store.spans()]


def as_text(numbers: Sequence[int]) -> str:
    """``0-9,12`` of sorted numbers."""
    parts: list[str] = []
    start = previous = None
    for number in [*numbers, None]:
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if start is not None:
            parts.append(str(start) if start == previous else f"{start}-{previous}")
        start = previous = number
    return ",".join(parts)
