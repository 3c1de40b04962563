"""Episodes of a labelled store, one after the other, as exports write them."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.source import ColumnMap, column_and_part
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store, open_store
from vip_offline.errors import VipOfflineError

OF_SOURCE = "_of_source"
BLOCK_FRAMES = 64  # of an episode that are in memory at once, where a format allows it


@dataclass(frozen=True)
class ExportResult:
    """Result of an export."""

    episodes: int
    rows: int  # that were written
    notes: tuple[str, ...] = ()  # sentences for the user


@dataclass(frozen=True)
class LabelledEpisode:
    """One episode of a store without its frames."""

    index: int
    start: int  # its first row in the store
    proprio: NDArray[np.float32]  # (T, P)
    action: NDArray[np.float32]  # (T, A); the last row NaN where none was taken in it
    succeeded: NDArray[np.bool_]  # (T,)
    true_reward: NDArray[np.float32]  # (T,), NaN where unknown
    extras: Mapping[str, NDArray[Any]]  # name -> (T, ...)
    reward: NDArray[np.float32]  # (T,), the visual one; the last NaN
    success: bool
    name: str
    task: str
    splits: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.reward)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Column -> (T, ...) rows; what the origin had besides is called ``extra NAME``."""
        roles = ("reward", "action", "proprio", "succeeded", "true_reward")
        extras = {f"extra {name}": values for name, values in self.extras.items()}
        return {role: getattr(self, role) for role in roles} | extras

    @property
    def acted(self) -> int:
        """Number of rows with an action: T, or T - 1 if the last one has none."""
        return len(self) - bool(self.action.size and np.isnan(self.action[-1]).all())


@dataclass(frozen=True)
class LabelledStore:
    """A finished store and one of its labellings."""

    store: Store
    label: Label
    keys: ColumnMap  # names that the columns had in the origin; empty: the store has none
    _readers: dict[str, Callable[[int, int], NDArray[np.uint8]]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the store."""
        return self.store.path

    def comes_from(self, format_: str) -> bool:
        """Whether the store was imported from a format, by how its name begins."""
        return str(self.store.attributes.get("source_format", "")).startswith(format_)

    def keys_of(self, format_: str) -> ColumnMap:
        """Names that the columns had in the origin, if the store was imported from this format."""
        return self.keys if self.comes_from(format_) else ColumnMap()

    def names(self, keys: ColumnMap, camera: str, proprio: str) -> dict[str, str]:
        """Frames of each camera and proprio -> the name in the origin, or else the one given here.

        ``{}`` in the name of frames stands for the camera.
        """
        names = {f"frames {c}": keys.cameras.get(c) or camera.format(c) for c in self.store.cameras}
        name = own_name(keys.proprio)
        # several columns that made it, or one of which it is a part, are among the extras
        if self.store.data("proprio", 0, 1).shape[1] and (name or not keys.proprio):
            names["proprio"] = name or proprio
        return names

    def has_success(self, keys: ColumnMap) -> bool:
        """Whether some row is solved, and no column of the origin says so already."""
        return not keys.success and bool(self.store.data("succeeded").any())

    @property
    def has_true_reward(self) -> bool:
        """Whether the origin had a reward of its own."""
        return not np.isnan(self.store.data("true_reward")).all()

    def require_actions(self, format_: str) -> None:
        """Refuse a store without actions.

        Raises:
            VipOfflineError: naming the format that needs them.
        """
        if not self.store.data("action", 0, 1).shape[1]:
            raise VipOfflineError(
                f"{self.path}: has no actions (it was imported without), and {format_} needs them. "
                "Import it again with --key-map action=COLUMN, or export to another format."
            )

    def frames(self, camera: str, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start, H, W, 3) uint8 RGB frames of rows of the store."""
        if camera not in self._readers:
            self._readers[camera] = self.store.frame_reader(camera)
        return self._readers[camera](start, stop)

    def frame_blocks(
        self, camera: str, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(offset, (n, H, W, 3) frames) blocks of these rows."""
        for begin in range(start, stop, BLOCK_FRAMES):
            yield begin - start, self.frames(camera, begin, min(begin + BLOCK_FRAMES, stop))

    def frame_shape(self, camera: str) -> tuple[int, ...]:
        """(H, W, 3) of a camera's frames."""
        return self.frames(camera, 0, 1).shape[1:]

    def episodes(self) -> Iterator[LabelledEpisode]:
        """Episodes in the order of the store; memory does not grow with their number."""
        store, spans = self.store, self.store.spans()
        extras, splits = store.keys("extras"), store.attributes.get("splits", [])
        success = store.meta("success")
        names, tasks = store.texts("name"), store.texts("instruction")
        belongs = {split: store.meta(f"split_{split}") for split in splits}
        for block in store.episode_blocks():
            begin, end = spans[block[0]][0], spans[block[-1]][1]
            rows = {
                key: store.data(key, begin, end)
                for key in ("proprio", "action", "succeeded", "true_reward")
            }
            others = {name: store.extra(name, begin, end) for name in extras}
            for index in block:
                start, stop = spans[index]
                part = slice(start - begin, stop - begin)
                yield LabelledEpisode(
                    index=index,
                    start=start,
                    **{key: values[part] for key, values in rows.items()},
                    extras={name: values[part] for name, values in others.items()},
                    reward=self.label.reward[start:stop],
                    success=bool(success[index]),
                    name=names[index],
                    task=tasks[index],
                    splits=tuple(split for split in splits if belongs[split][index]),
                )


def open_labelled(path: Path, label: str = "") -> LabelledStore:
    """Open a finished store and one of its labellings: the named one, or else the only one.

    Raises:
        VipOfflineError: if there is no such store, it is unfinished, or it has no such labelling.
    """
    store = open_store(path)
    store.require_finished()
    return LabelledStore(store, store.label(label), _keys(store.attributes.get("key_map", {})))


def _keys(roles: Mapping[str, Any]) -> ColumnMap:
    """Column names in the origin, as the store recorded them."""
    return ColumnMap(
        cameras=dict(roles.get("cameras", {})),
        proprio=tuple(roles.get("proprio", ())),
        action=tuple(roles.get("action", ())),
        success=str(roles.get("success", "")),
        reward=str(roles.get("reward", "")),
    )


def own_name(columns: tuple[str, ...]) -> str:
    """Name of the single, whole column that a role was made of; otherwise empty."""
    whole = len(columns) == 1 and column_and_part(columns[0])[0] == columns[0]
    return columns[0] if whole else ""


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, with `_of_source` appended until it is not taken."""
    while name in taken:
        name += OF_SOURCE
    return name


def notes_of(
    labelled: LabelledStore, names: Mapping[str, str], shortened: int = 0
) -> Iterator[str]:
    """Sentences on what an export has otherwise than the store.

    Names are those of `LabelledEpisode.columns`; `shortened` episodes lack their last row.
    """
    if shortened:
        yield f"the last observation of {shortened} episodes is left out: no action was taken in it"
    if len(labelled.keys.action) > 1:  # their widths are not recorded
        yield f"the columns {', '.join(labelled.keys.action)} are side by side in {names['action']}"
    for name in labelled.store.keys("extras"):
        if names[f"extra {name}"].endswith(OF_SOURCE):
            yield f"the column {name} is written as {names[f'extra {name}']}: its name is taken"


def provenance_text(labelled: LabelledStore) -> str:
    """JSON of how the rewards were made, for formats that keep a text."""
    label = labelled.label
    return json.dumps({"label": label.name, **label.provenance}, ensure_ascii=False)
