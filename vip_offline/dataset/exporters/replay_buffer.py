"""diffusion_policy's replay buffer: data/<key>, meta/episode_ends, in zarr format 2.

https://github.com/real-stanford/diffusion_policy, common/replay_buffer.py. Its authors pin zarr 2,
which opens no zarr format 3. Arrays are chunked along time alone, in pieces of about 2 MB.

``reward`` is the visual reward. As in the store, the last row of an episode has none: NaN. The
origin's own reward stands beside it as ``true_reward``. A last row in which no action was taken is
left out, since every row of a replay buffer has one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import (
    ExportResult,
    LabelledStore,
    free_name,
    notes_of,
    own_name,
)
from vip_offline.errors import VipOfflineError

CHUNK_BYTES = 2_000_000  # bytes, diffusion_policy's own target
# what diffusion_policy calls "disk"
CODEC: Any = Blosc(cname="zstd", clevel=5, shuffle=Blosc.BITSHUFFLE)


class _Column:
    """A growing array that is written in whole chunks."""

    def __init__(self, group: zarr.Group, name: str) -> None:
        self._group, self._name = group, name
        self._array: zarr.Array[Any] | None = None
        self._pending: list[NDArray[Any]] = []
        self._held = 0  # rows that are pending
        self._rows = 1  # of a chunk

    def append(self, values: NDArray[Any]) -> None:
        if self._array is None:
            tail = values.shape[1:]
            size = int(np.prod(tail, dtype=int)) * values.dtype.itemsize
            self._rows = max(1, -(-CHUNK_BYTES // size))
            self._array = self._group.create_array(
                self._name,
                shape=(0, *tail),
                chunks=(self._rows, *tail),
                dtype=values.dtype,
                compressors=CODEC,
            )
        self._pending.append(values)
        self._held += len(values)
        if self._held >= self._rows:
            self._write(self._held - self._held % self._rows)

    def _write(self, rows: int) -> None:
        """Write so many of the pending rows."""
        if self._array is None or not rows:
            return
        values = np.concatenate(self._pending)
        start = self._array.shape[0]
        self._array.resize((start + rows, *self._array.shape[1:]))
        self._array[start:] = values[:rows]
        self._pending, self._held = [values[rows:]], len(values) - rows

    def finish(self) -> None:
        self._write(self._held)


def _names(labelled: LabelledStore) -> dict[str, str]:
    """Column of an episode -> name in the buffer; names from a replay buffer are restored."""
    keys, store = labelled.keys_of("replay buffer"), labelled.store
    names = {"reward": "reward", **labelled.names(keys, "frames_{}", "proprio")}
    if store.data("action", 0, 1).shape[1]:
        names["action"] = own_name(keys.action) or "action"
    if labelled.has_success(keys):
        names["succeeded"] = "succeeded"
    if labelled.has_true_reward:
        names["true_reward"] = "true_reward" if keys.reward in ("", "reward") else keys.reward
    for name in store.keys("extras"):
        names[f"extra {name}"] = free_name(name, names.values())
    return names


def write_replay(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write a replay buffer.

    Raises:
        VipOfflineError: if the path ends in .zip; see `LabelledStore.episodes`.
    """
    if path.suffix == ".zip":
        raise VipOfflineError(
            f"{path.name}: a folder is written, no zip archive. Name it {path.stem}; "
            f"`cd {path.stem} && zip -0 -r ../{path.name} .` packs it."
        )
    names = _names(labelled)
    root = zarr.create_group(path, zarr_format=2)
    data, meta = root.create_group("data"), root.create_group("meta")
    columns = {key: _Column(data, name) for key, name in names.items()}
    ends, shortened = [0], 0
    for episode in labelled.episodes():
        rows = episode.acted
        shortened += rows < len(episode)
        for key, values in episode.columns().items():
            if key in columns:
                columns[key].append(values[:rows])
        for camera in labelled.store.cameras:
            start = episode.start
            for _, frames in labelled.frame_blocks(camera, start, start + rows):
                columns[f"frames {camera}"].append(frames)
        ends.append(ends[-1] + rows)
        on_episode(1)
    for column in columns.values():
        column.finish()
    # as diffusion_policy writes it: one piece, not compressed
    count = len(ends) - 1
    meta.create_array("success", data=labelled.store.meta("success"), compressors=None)
    for split in labelled.store.attributes.get("splits", []):
        belongs = labelled.store.meta(f"split_{split}")
        meta.create_array(f"split_{split}", data=belongs, compressors=None)
    meta.create_array(
        "episode_ends", data=np.array(ends[1:], np.int64), chunks=(count,), compressors=None
    )
    attributes = labelled.store.attributes
    label = {"label": labelled.label.name, **labelled.label.provenance}
    settings = {key: attributes[key] for key in ("task", "control_rate") if attributes.get(key)}
    root.attrs.update({**settings, "visual_reward": label})
    return ExportResult(count, ends[-1], tuple(notes_of(labelled, names, shortened)))
