"""Minari data sets, through Minari's own library: https://minari.farama.org."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.array_columns import column_of
from vip_offline.dataset.importers.base.guarded import readable_errors
from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    guessed,
)
from vip_offline.dataset.importers.base.success import SUCCESS_COLUMNS, truth
from vip_offline.dataset.importers.formats.minari_meta import require_own, require_plain
from vip_offline.dataset.media.pictures import pictures_shape, rgb
from vip_offline.errors import VipOfflineError

OBSERVATION = "observations"
INFO_SUCCESS = tuple(f"infos.{name}" for name in SUCCESS_COLUMNS)
REPAIR_SET = "Restore the data set, or leave such episodes out with --skip-broken."
MINARI_PROPRIO = (
    OBSERVATION,
    f"{OBSERVATION}.observation",
    f"{OBSERVATION}.state",
    f"{OBSERVATION}.proprio",
)


class Minari:
    """An arbitrary folder, or an id under MINARI_DATASETS_PATH.

    An episode has one observation more than actions: T + 1 rows, no action in the last.
    """

    def __init__(self, path: Path) -> None:
        try:
            import minari
            from minari.storage import get_dataset_path
        except ImportError as error:
            raise VipOfflineError(
                f"{path}: Minari's data sets are read with Minari, which is not installed "
                f"({error}). pip install 'vip-offline[minari]'"
            ) from error
        self.path = path
        try:
            self._folder = path if (path / "metadata.json").exists() else path / "data"
            if not path.is_dir():
                self._folder = Path(get_dataset_path(str(path))) / "data"
            if self._folder.is_dir():  # else Minari says what is missing
                require_plain(self._folder)
            if path.is_dir():
                self._set = minari.MinariDataset(self._folder)
            else:
                self._set = minari.load_dataset(str(path))
        except VipOfflineError:
            raise
        except Exception as error:  # h5py, json, gymnasium and pyarrow raise what they like
            raise VipOfflineError(
                f"{path}: Minari cannot open it ({error}). Restore it."
            ) from error
        self._broken: dict[int, str] = {}  # episode -> why it cannot be read
        # per episode: total_steps, and what else its writer had to say
        self._about = [self._about_of(*item) for item in enumerate(self._metadata())]

    def _metadata(self) -> list[Any]:
        """Metadata of each episode; None where they cannot be read."""
        numbers = [int(number) for number in self._set.episode_indices]
        try:
            return list(self._set.storage.get_episode_metadata(numbers))
        except Exception:  # of one of them: which, only asking for each tells
            return [None] * len(numbers)

    def _about_of(self, episode: int, about: Any) -> dict[str, Any]:
        number = int(self._set.episode_indices[episode])
        try:
            with readable_errors(f"{self.path}, episode {episode}", REPAIR_SET):
                if about is None:
                    (about,) = self._set.storage.get_episode_metadata([number])
                about["total_steps"] = int(about["total_steps"])
                if about["total_steps"] < 1:
                    raise VipOfflineError(
                        f"{self.path}, episode {episode}: has no steps. {REPAIR_SET}"
                    )
        except VipOfflineError as error:
            self._broken[episode] = str(error)
            return {"total_steps": 0}
        return dict(about)

    def _episode(self, index: int) -> Any:
        number = int(self._set.episode_indices[index])
        require_own(self._folder, number)
        (episode,) = self._set.iterate_episodes([number])
        return episode

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        import gymnasium

        discrete_spaces = gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete
        if isinstance(self._set.action_space, discrete_spaces):
            raise VipOfflineError(
                f"{self.path}: its actions are {self._set.action_space}: discrete, and policies "
                "here regress continuous ones."
            )
        if not len(self._set.episode_indices):
            raise VipOfflineError(f"{self.path}: holds no episode.")
        columns: dict[str, Column] = {}
        left_out: dict[str, str] = {}
        notes = []
        flat, rows = self._first()
        for name, values in flat.items():
            column = column_of(name, values.shape, values.dtype, rows)
            if not isinstance(column, str):
                columns[name] = column
            elif name not in INFO_SUCCESS or values.size != 1:  # of the episode as a whole
                left_out[name] = column
        action = guessed([*columns], ["actions"])
        parts = [name for name in columns if name.startswith("actions.")]
        discrete = [name for name in parts if np.dtype(columns[name].dtype).kind != "f"]
        if discrete:
            notes.append(
                f"{', '.join(discrete)}: discrete, so no action is taken. Convert it, or name the "
                "others with --key-map action=COLUMN,COLUMN"
            )
        elif parts:
            action = tuple(parts)
            notes.append(f"the action is a guess, its parts side by side: {', '.join(parts)}")
        steps = np.array([about["total_steps"] for about in self._about], np.int64)
        spec = self._set.env_spec
        pictures = {
            name: (name.removeprefix(OBSERVATION).lstrip(".") or "camera")
            for name, column in columns.items()
            if column.kind == "pictures"
        }
        notes.append(
            "Minari keeps pictures as JPEG unless it was told otherwise: they may be lossy"
            if pictures
            else "there are no pictures, so nothing can be relabelled"
        )
        numbers = [name for name, column in columns.items() if column.kind == "numbers"]
        return Catalogue(
            format="Minari",
            columns=columns,
            lengths=np.where(steps, steps + 1, 0),
            names=[
                str(about.get("name") or number)
                for about, number in zip(self._about, self._set.episode_indices, strict=True)
            ],
            keys=ColumnMap(
                cameras={camera: name for name, camera in pictures.items()},
                proprio=guessed(numbers, MINARI_PROPRIO),
                action=action,
                success="".join(guessed(numbers, INFO_SUCCESS)),
                # where rewards were filled with others, the environment's stand beside them
                reward="".join(guessed(numbers, ["infos.true_reward", "rewards"])),
            ),
            task=spec.id if spec is not None else "",
            splits=tuple(
                sorted({str(split) for about in self._about for split in about.get("splits", ())})
            ),
            notes=tuple(notes),
            left_out=left_out,
            broken=self._broken,
            about={"id": self._set.spec.dataset_id},
        )

    def _first(self) -> tuple[dict[str, NDArray[Any]], int]:
        """The arrays of the first episode that can be read, and its rows."""
        for index, about in enumerate(self._about):
            if index not in self._broken:
                try:
                    return self._flat(index), about["total_steps"] + 1
                except VipOfflineError as error:
                    self._broken[index] = str(error)
        raise VipOfflineError(self._broken[0])

    def _flat(self, index: int) -> dict[str, NDArray[Any]]:
        """Name -> (T + 1, ...); what belongs to steps has no value in the last row."""
        with readable_errors(f"{self.path}, episode {index}", REPAIR_SET):
            return _padded(self._episode(index))

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        flat = self._flat(episode)
        for name in columns:
            if name not in flat:
                raise VipOfflineError(
                    f"{self.path}, episode {episode}: has no {name} (it has {', '.join(flat)})."
                )
        where = f"{self.path}, episode {episode}"
        about = self._about[episode]
        answers = {
            name: flat[name] for name in INFO_SUCCESS if name in flat and flat[name].size == 1
        }
        answers |= {name: about[name] for name in SUCCESS_COLUMNS if name in about}
        values = {name: flat[name] for name in columns}
        for name, array in values.items():
            if pictures_shape(array.shape[1:], array.dtype) is not None:
                values[name] = rgb(array, f"{where}: {name}")
        labelled = (truth(value, f"{where}: {name}") for name, value in answers.items())
        return EpisodeColumns(
            values,
            success=next(labelled, None),
            task=str(about.get("task", "")),
            splits=tuple(str(split) for split in about.get("splits", ())),
        )

    def close(self) -> None:
        """See `Source.close`."""


def _padded(episode: Any) -> dict[str, NDArray[Any]]:
    """Name -> (T + 1, ...) of an episode of Minari's; steps have no value in the last row."""
    arrays: dict[str, NDArray[Any]] = {}

    def put(name: str, values: Any) -> None:
        if isinstance(values, Mapping):
            for key, inner in values.items():
                put(f"{name}.{key}", inner)
        elif isinstance(values, tuple):
            for place, inner in enumerate(values):
                put(f"{name}.{place}", inner)
        elif values is not None:
            try:
                arrays[name] = np.asarray(values)
            except ValueError:  # its rows differ in length
                arrays[name] = np.fromiter(values, object, len(values))

    for name in (OBSERVATION, "actions", "rewards", "terminations", "truncations", "infos"):
        put(name, getattr(episode, name))
    rows = len(episode.rewards) + 1
    padded = {}
    for name, values in arrays.items():
        if values.ndim and len(values) == rows - 1 and values.dtype.kind in "biuf":
            empty = np.nan if values.dtype.kind == "f" else 0
            last = np.full((1, *values.shape[1:]), empty, values.dtype)
            values = np.concatenate([values, last])
        padded[name] = values
    return padded
