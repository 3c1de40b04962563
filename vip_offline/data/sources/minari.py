"""Minari data sets, through Minari's own library: https://minari.farama.org."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.data.sources.source import Catalogue, Column, KeyMap, Rows, guessed
from vip_offline.errors import VipOfflineError

OBSERVATION = "observations"
PROPRIO = (
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
        except ImportError as error:
            raise VipOfflineError(
                f"{path}: Minari's data sets are read with Minari, which is not installed "
                f"({error}). pip install 'vip-offline[minari]'"
            ) from error
        self.path = path
        try:
            if path.is_dir():
                folder = path if (path / "metadata.json").exists() else path / "data"
                self._set = minari.MinariDataset(folder)
            else:
                self._set = minari.load_dataset(str(path))
            # per episode: total_steps, and what else its writer had to say
            self._about: list[Any] = list(
                self._set.storage.get_episode_metadata(self._set.episode_indices)
            )
        except Exception as error:  # h5py, json, gymnasium and pyarrow raise what they like
            raise VipOfflineError(
                f"{path}: Minari cannot open it ({error}). Restore it."
            ) from error

    def _episode(self, index: int) -> Any:
        try:
            (found,) = self._set.iterate_episodes([int(self._set.episode_indices[index])])
        except Exception as error:
            raise VipOfflineError(
                f"{self.path}, episode {index}: Minari cannot read it ({error}). Restore the data "
                "set, or leave such episodes out with --skip-broken."
            ) from error
        return found

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        import gymnasium

        if isinstance(
            self._set.action_space, gymnasium.spaces.Discrete | gymnasium.spaces.MultiDiscrete
        ):
            raise VipOfflineError(
                f"{self.path}: its actions are {self._set.action_space}: discrete, and policies "
                "here regress continuous ones."
            )
        total = len(self._set.episode_indices)
        if not total:
            raise VipOfflineError(f"{self.path}: holds no episode.")
        flat = self._flat(self._episode(0))
        columns: dict[str, Column] = {}
        notes = []
        for name, values in flat.items():
            tail = tuple(values.shape[1:])
            if values.dtype == np.uint8 and len(tail) == 3 and tail[-1] == 3:
                columns[name] = Column("pictures", tail, "uint8")
            elif values.dtype.kind in "biuf":
                columns[name] = Column("numbers", tail, str(values.dtype))
            else:
                notes.append(f"{name} is {values.dtype} and is left out")
        steps = [int(each["total_steps"]) for each in self._about]
        spec = self._set.env_spec
        pictures = {
            name: (name.removeprefix(OBSERVATION).lstrip(".") or "camera")
            for name, column in columns.items()
            if column.kind == "pictures"
        }
        if pictures:
            notes.append(
                "Minari keeps pictures as JPEG unless it was told otherwise: they may be lossy"
            )
        if not pictures:
            notes.append("there are no pictures, so nothing can be relabelled")
        numbers = [name for name, column in columns.items() if column.kind == "numbers"]
        return Catalogue(
            format="Minari",
            columns=columns,
            lengths=np.array(steps, np.int64) + 1,
            names=[
                str(about.get("name") or number)
                for about, number in zip(self._about, self._set.episode_indices, strict=True)
            ],
            keys=KeyMap(
                cameras={camera: name for name, camera in pictures.items()},
                proprio=guessed(numbers, PROPRIO),
                action=guessed(numbers, ["actions"]),
                success="".join(guessed(numbers, ["infos.success", "infos.is_success"])),
                # where rewards were filled with others, the environment's stand beside them
                reward="".join(guessed(numbers, ["infos.true_reward", "rewards"])),
            ),
            task=spec.id if spec is not None else "",
            splits=tuple(
                sorted({str(each) for about in self._about for each in about.get("splits", ())})
            ),
            notes=tuple(notes),
            about={"id": self._set.spec.dataset_id},
        )

    @staticmethod
    def _flat(episode: Any) -> dict[str, NDArray[Any]]:
        """Name -> (T + 1, ...); what belongs to steps has no value in the last row."""
        found: dict[str, NDArray[Any]] = {}

        def put(name: str, values: Any) -> None:
            if isinstance(values, Mapping):
                for key, inner in values.items():
                    put(f"{name}.{key}", inner)
            elif isinstance(values, tuple):
                for place, inner in enumerate(values):
                    put(f"{name}.{place}", inner)
            elif values is not None:
                found[name] = np.asarray(values)

        put(OBSERVATION, episode.observations)
        rows = len(episode.rewards) + 1
        put("actions", episode.actions)
        put("rewards", episode.rewards)
        put("terminations", episode.terminations)
        put("truncations", episode.truncations)
        put("infos", episode.infos)
        padded = {}
        for name, values in found.items():
            if len(values) == rows - 1:
                empty = np.nan if values.dtype.kind == "f" else 0
                last = np.full((1, *values.shape[1:]), empty, values.dtype)
                values = np.concatenate([values, last])
            padded[name] = values
        return padded

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        flat = self._flat(self._episode(episode))
        for name in columns:
            if name not in flat:
                raise VipOfflineError(
                    f"{self.path}, episode {episode}: has no {name} (it has {', '.join(flat)})."
                )
        about = self._about[episode]
        success = about.get("success")
        return Rows(
            {name: flat[name] for name in columns},
            success=None if success is None else bool(success),
            task=str(about.get("task", "")),
            splits=tuple(str(each) for each in about.get("splits", ())),
        )

    def close(self) -> None:
        """See `Source.close`."""
