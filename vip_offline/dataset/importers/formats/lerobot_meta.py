"""Metadata of a LeRobotDataset: meta/info.json, the list of episodes, the tasks.

Layouts: https://github.com/huggingface/lerobot, src/lerobot/datasets.
"""

import contextlib
import json
import re
import string
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import (
    CELL_BYTES,
    read_description,
    require_episodes,
    require_stored,
)

# v2.0 differs from v2.1 in its statistics alone, which are not read
VERSIONS = ("v3.0", "v2.1", "v2.0")
NUMBER_FORMAT = re.compile(r"(0?\d{1,2}d?)?")  # in a template: of 000001, 06d


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Name a file that cannot be read."""
    try:
        yield
    except (OSError, ValueError, RecursionError, pyarrow.ArrowException) as error:
        raise VipOfflineError(f"{file}: cannot be read ({error}). Restore it.") from error


def read_info(path: Path) -> dict[str, Any]:
    """Content of meta/info.json with validated features.

    Raises:
        VipOfflineError: if it is missing, damaged, or of a version that is not read here.
    """
    file = path / "meta" / "info.json"
    with _readable(file):
        info: dict[str, Any] = json.loads(read_description(file))
    if not isinstance(info, dict):
        raise VipOfflineError(f"{file}: holds no JSON object. Restore it.")
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise VipOfflineError(
            f"{file}: codebase_version is {version!r}; read here are {', '.join(VERSIONS)}. "
            "LeRobot converts older ones."
        )
    for key in ("fps", "features", "data_path", "total_episodes"):
        if key not in info:
            raise VipOfflineError(f"{file}: lacks {key!r}. Restore it.")
    if not isinstance(info["fps"], int | float) or not info["fps"] > 0:
        raise VipOfflineError(f"{file}: fps is {info['fps']!r}; it must be above 0.")
    total = whole(info["total_episodes"])
    if total is None:
        raise VipOfflineError(f"{file}: total_episodes is {info['total_episodes']!r}. Restore it.")
    require_episodes(str(file), total)
    info["total_episodes"] = total
    if not isinstance(info["features"], dict):
        raise VipOfflineError(f"{file}: features is {info['features']!r}. Restore it.")
    for name, feature in info["features"].items():
        shape = feature.get("shape", []) if isinstance(feature, dict) else None
        if (
            not isinstance(shape, list)
            or not all(isinstance(size, int) and 0 <= size < 2**31 for size in shape)
            or "dtype" not in feature
        ):
            raise VipOfflineError(
                f"{file}: feature {name!r} is {feature!r}; it needs a dtype and a shape of "
                "whole numbers. Restore it."
            )
    return info


def read_episodes(path: Path, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Metadata of all episodes, in the order of their index.

    Raises:
        VipOfflineError: if one is missing, twice there, or lacks its length.
    """
    v3 = info["codebase_version"] == "v3.0"
    listed = path / "meta" / "episodes.jsonl"
    of_v2 = ("episode_index", "length")
    episodes = list(_episodes_of_v3(path) if v3 else _json_lines(listed, of_v2, "episode"))
    for place, episode in enumerate(episodes):
        for key in ("episode_index", "length"):
            number = whole(episode.get(key))
            if number is None:
                raise VipOfflineError(
                    f"{path / 'meta'}: {key} of the {place + 1}. episode listed is "
                    f"{episode.get(key)!r}. Restore the meta folder."
                )
            episode[key] = number
    episodes.sort(key=lambda episode: int(episode["episode_index"]))
    indices = [int(episode["episode_index"]) for episode in episodes]
    total: int = info["total_episodes"]
    if indices != list(range(total)):
        missing = sorted(set(range(total)) - set(indices))
        problem = f"episode {missing[0]} is missing" if missing else "an episode stands there twice"
        raise VipOfflineError(
            f"{path / 'meta'}: info.json says {total} episodes, the list of episodes has "
            f"{len(episodes)} ({problem}). Restore the missing files of the data set."
        )
    return episodes


def whole(value: Any) -> int | None:
    """The integer value, also of a float such as 3.0 (pandas); None for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def words_of(tasks: Any) -> str:
    """Task instruction: one sentence, or several joined with semicolons."""
    if isinstance(tasks, str):
        return tasks
    return "; ".join(str(task) for task in tasks) if isinstance(tasks, list | tuple) else ""


def read_tasks(path: Path) -> dict[int, str]:
    """task_index -> words, of meta/tasks.parquet or meta/tasks.jsonl; empty if neither is there.

    Raises:
        VipOfflineError: if the file cannot be read.
    """
    file, lines = path / "meta" / "tasks.parquet", path / "meta" / "tasks.jsonl"
    if file.exists():
        table = load_table(file, parquet_names(file))
        # the words are the index of a data frame: its name is task, or none
        words = [name for name in table.column_names if name != "task_index"]
        if not words or "task_index" not in table.column_names:
            raise VipOfflineError(f"{file}: has the columns {table.column_names}. Restore it.")
        numbers = table["task_index"].to_pylist()
        return dict(zip(numbers, map(str, table[words[-1]].to_pylist()), strict=True))
    if not lines.exists():
        return {}
    rows = _json_lines(lines, ("task_index", "task"), "task")
    return {int(row["task_index"]): str(row["task"]) for row in rows}


def parquet_names(file: Path) -> list[str]:
    """Names of the columns of a parquet file.

    Raises:
        VipOfflineError: if it cannot be read.
    """
    with _readable(file):
        return list(pyarrow.parquet.read_schema(require_regular(file)).names)


def load_table(file: Path, columns: Sequence[str]) -> Any:
    """Columns of a parquet file, as a pyarrow.Table.

    Raises:
        VipOfflineError: if it lacks one, or cannot be read.
    """
    present = parquet_names(file)
    for column in columns:
        if column not in present:
            raise VipOfflineError(
                f"{file}: lacks the column {column!r} (it has {', '.join(present)}). Restore "
                "the file, or name another column with --key-map."
            )
    with _readable(file):
        rows = pyarrow.parquet.read_metadata(file).num_rows
        require_stored(str(file), rows * len(columns) * CELL_BYTES, [file.stat().st_size])
        return pyarrow.parquet.read_table(file, columns=list(columns), partitioning=None)


def files_of_episodes(files: Sequence[Path]) -> dict[int, list[Path]]:
    """episode_index -> the data files that hold rows of it; damaged files are passed over."""
    holders: dict[int, list[Path]] = {}
    for file in files:
        try:
            episodes = np.unique(np.asarray(load_table(file, ["episode_index"])["episode_index"]))
        except VipOfflineError:  # reading an episode of it says so
            continue
        for episode in episodes:
            holders.setdefault(int(episode), []).append(file)
    return holders


def _episodes_of_v3(path: Path) -> Iterator[dict[str, Any]]:
    files = sorted((path / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise VipOfflineError(
            f"{path / 'meta' / 'episodes'}: holds no parquet file. Restore the data set's "
            "meta folder (other storage, such as Lance, is not read)."
        )
    for file in files:
        names = [
            name
            for name in parquet_names(file)
            if not name.startswith(("stats/", "meta/")) and "/stats/" not in name
        ]
        yield from load_table(file, names).to_pylist()


def _json_lines(file: Path, numbers: Sequence[str], kind: str) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, that have these keys."""
    with _readable(file):
        lines = read_description(file).splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row: dict[str, Any] = json.loads(line)
                int(row[numbers[0]]), row[numbers[1]]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise VipOfflineError(
                    f"{file}, line {number}: {line[:60]!r} is no {kind} ({error!r}). Restore it."
                ) from error
            yield row


def check_template(template: str, names: Collection[str]) -> None:
    """Refuse a path template with unknown fields or with formats other than padded integers.

    Raises:
        KeyError: if it names what is none of `names`.
        ValueError: if it is none, or fills a value to another width.
    """
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if name not in names:
            raise KeyError(name)
        if conversion or not NUMBER_FORMAT.fullmatch(form or ""):
            raise ValueError(f"{name}:{form} is no width of a few digits")
