"""A copy of a LeRobotDataset v3.0 whose next.reward is the visual reward.

Only what holds the reward is written anew: the data files, info.json and the statistics. Videos are
hard links where the disk allows it, and everything else is copied. The original is not touched.

The last row of an episode has no visual reward, and gets 0: LeRobot's statistics and losses cannot
hold NaN, and its replay buffer (lerobot/rl/buffer.py) takes that row as one that leads nowhere
else. A next.reward that is there is replaced.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import ExportResult, LabelledStore
from vip_offline.dataset.exporters.lerobot_origin import lerobot_origin, require_length
from vip_offline.errors import VipOfflineError

REWARD_COLUMN = "next.reward"
FEATURE = {"dtype": "float32", "shape": [1], "names": None}  # as LeRobot's own recorder says it
LINKED = ("videos", "images")  # folders of files that nobody edits in place


def write_lerobot(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write a copy of the data set that the store was imported from.

    Raises:
        VipOfflineError: if the store is of another origin or version, that one is gone or was
            changed, or has an episode that the store lacks.
    """
    origin = lerobot_origin(labelled)
    catalogue, root = origin.catalogue(), origin.path
    if not catalogue.format.endswith("v3.0"):
        raise VipOfflineError(
            f"{root}: is a {catalogue.format}; copies are written of v3.0. Convert it "
            "(lerobot.datasets.v30.convert_dataset_v21_to_v30) and import that, or export to "
            "lerobot-progress, which goes beside it as it is."
        )
    if path.resolve().is_relative_to(root.resolve()):
        raise VipOfflineError(
            f"{path.name}: would lie inside the data set that is copied ({root}). Name a place "
            "outside of it."
        )
    firsts, reward = _rewards(labelled, catalogue.lengths, root)
    rows = 0
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or not file.is_file():
            continue  # what is hidden belongs to whatever fetched it
        target = path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if relative.parts[0] == "data" and file.suffix == ".parquet":
            for frame_index in _write_data(file, target, firsts, catalogue.lengths, reward):
                rows += len(frame_index)
                on_episode(int((frame_index == 0).sum()))
        elif relative.parts[:2] == ("meta", "episodes") and file.suffix == ".parquet":
            _write_episodes(file, target, firsts, catalogue.lengths, reward)
        elif relative.as_posix() in ("meta/info.json", "meta/stats.json"):
            _write_json(file, target, reward)
        else:
            _copy(file.resolve(), target, link=relative.parts[0] in LINKED)
    return ExportResult(
        len(labelled.store), rows, (f"{REWARD_COLUMN} is 0 in the last row of each episode",)
    )


def _rewards(
    labelled: LabelledStore, lengths: NDArray[np.int64], root: Path
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(E,) the first row of each of the data set's episodes, (N,) rewards in the store's order."""
    firsts = np.full(len(lengths), -1, np.int64)
    numbers = labelled.store.meta("source_episode")
    for number, (start, stop) in zip(numbers, labelled.store.spans(), strict=True):
        length = int(lengths[number]) if number < len(lengths) else 0
        require_length(root, int(number), stop - start, length)
        firsts[number] = start
    if (firsts < 0).any():
        raise VipOfflineError(
            f"{labelled.path}: lacks episode {int(np.argmin(firsts))} of {root} (it has "
            f"{len(numbers)} of {len(lengths)}), so that one would be without reward. Import and "
            "relabel all of it, or export to lerobot-progress, which may leave episodes out."
        )
    return firsts, np.nan_to_num(labelled.label.reward)


def _write_data(
    file: Path,
    target: Path,
    firsts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    reward: NDArray[np.float32],
) -> Iterator[NDArray[np.int64]]:
    """Copy a data file, one row group after the other; gives each one's frame_index."""
    with pyarrow.parquet.ParquetFile(file) as source:
        schema = _with_reward(source.schema_arrow)
        codec = source.metadata.row_group(0).column(0).compression if source.num_row_groups else ""
        with pyarrow.parquet.ParquetWriter(target, schema, compression=codec or "SNAPPY") as writer:
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                episode = np.asarray(table["episode_index"], np.int64)
                frame = np.asarray(table["frame_index"], np.int64)
                if (frame >= lengths[episode]).any():
                    row = int(np.argmax(frame >= lengths[episode]))
                    require_length(
                        file, int(episode[row]), int(lengths[episode[row]]), int(frame[row]) + 1
                    )
                column = pyarrow.array(reward[firsts[episode] + frame])
                columns = {
                    name: column
                    if name == REWARD_COLUMN
                    else table[name].cast(schema.field(name).type)
                    for name in schema.names
                }
                writer.write_table(
                    pyarrow.table(columns, schema=schema), row_group_size=table.num_rows or None
                )
                yield frame


def _with_reward(schema: pyarrow.Schema) -> pyarrow.Schema:
    """Schema of a data file with a reward column, also in Hugging Face's schema metadata."""
    field = pyarrow.field(REWARD_COLUMN, pyarrow.float32())
    place = schema.get_field_index(REWARD_COLUMN)
    new = schema.append(field) if place < 0 else schema.set(place, field)
    metadata = dict(schema.metadata or {})
    if b"huggingface" in metadata:
        noted = json.loads(metadata[b"huggingface"])
        if "features" in noted.get("info", {}):
            noted["info"]["features"][REWARD_COLUMN] = {"dtype": "float32", "_type": "Value"}
        metadata[b"huggingface"] = json.dumps(noted).encode()
    return new.with_metadata(metadata)


def statistics(values: NDArray[np.float32], names: Sequence[str]) -> dict[str, list[float]]:
    """LeRobot's statistics of (N,) values, by name, each as a list of one number.

    The names are min, max, mean, std, count, and quantiles such as q01.
    """
    exact = values.astype(np.float64)
    results: dict[str, list[float]] = {}
    for name in names:
        if name in ("min", "max", "mean", "std"):
            results[name] = [float(getattr(exact, name)())]
        elif name == "count":
            results[name] = [len(exact)]
        elif name[:1] == "q" and name[1:].isdigit():
            results[name] = [float(np.quantile(exact, int(name[1:]) / 10 ** (len(name) - 1)))]
    return results


def _write_episodes(
    file: Path,
    target: Path,
    firsts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    reward: NDArray[np.float32],
) -> None:
    """Copy the list of episodes, with statistics of the reward where others have theirs."""
    table = pyarrow.parquet.read_table(file, partitioning=None)
    model = _model([name.removeprefix("stats/") for name in table.column_names if "stats/" in name])
    numbers = np.asarray(table["episode_index"], np.int64)
    spans = [(int(firsts[number]), int(firsts[number] + lengths[number])) for number in numbers]
    made = [statistics(reward[start:stop], model) for start, stop in spans]
    for name in model:
        type_ = pyarrow.list_(pyarrow.int64() if name == "count" else pyarrow.float64())
        key = f"stats/{REWARD_COLUMN}/{name}"
        values = pyarrow.array([stats[name] for stats in made if name in stats], type_)
        place = table.schema.get_field_index(key)
        if len(values) == len(table):
            field = pyarrow.field(key, type_)
            table = (
                table.append_column(field, values)
                if place < 0
                else table.set_column(place, field, values)
            )
    pyarrow.parquet.write_table(table, target)


def _model(names: Sequence[str]) -> list[str]:
    """Names of the statistics that a scalar column of the data set has."""
    for feature in (REWARD_COLUMN, "timestamp", "frame_index", "index"):
        matching = [name for name in names if name.rpartition("/")[0] == feature]
        if matching:
            return [name.rpartition("/")[2] for name in matching]
    return []


def _write_json(file: Path, target: Path, reward: NDArray[np.float32]) -> None:
    """Copy info.json or stats.json, with the reward in it."""
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "info.json":
        content["features"][REWARD_COLUMN] = FEATURE
    else:
        others = [f"{feature}/{name}" for feature, entries in content.items() for name in entries]
        if model := _model(others):
            content[REWARD_COLUMN] = statistics(reward, model)
    target.write_text(json.dumps(content, indent=4, ensure_ascii=False), encoding="utf-8")


def _copy(file: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(file, target)
        except OSError:  # another disk, or one without links
            pass
        else:
            return
    shutil.copy2(file, target)
