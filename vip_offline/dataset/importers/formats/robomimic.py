"""robomimic's HDF5 files: https://robomimic.github.io/docs/datasets/overview.html.

Isaac Lab, MimicGen, LIBERO and robocasa write the same layout with groups of their own.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.guarded import readable_errors
from vip_offline.dataset.importers.base.other_formats import hdf5_of_another_tool
from vip_offline.dataset.importers.base.source import (
    SOLVED,
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    guessed,
    refuse_defects,
)
from vip_offline.dataset.importers.base.success import SUCCESS_COLUMNS, truth
from vip_offline.dataset.importers.formats.hdf5_tree import (
    column_of_dataset,
    datasets_below,
    has,
    member,
    missing_filter,
    open_hdf5,
)
from vip_offline.dataset.media.pictures import pictures_shape, rgb, sixteen_bit_note
from vip_offline.errors import VipOfflineError

# the low-dimensional observation of one arm: in robomimic's own configs, Isaac Lab's, LIBERO's
ARM_NAMES = (
    ("obs/robot0_eef_pos", "obs/robot0_eef_quat", "obs/robot0_gripper_qpos"),
    ("obs/eef_pos", "obs/eef_quat", "obs/gripper_pos"),
    ("obs/ee_pos", "obs/ee_ori", "obs/gripper_states"),
    ("obs/proprio",),
)
DEMO = re.compile(r"(.*?)(\d+)")
MOST_LISTED = 100  # demonstrations whose datasets are listed: opening one takes a millisecond
REPAIR_FILE = "Restore the file, or leave such episodes out with --skip-broken."


class Robomimic:
    """One file: /data/demo_<i> with actions, rewards, dones, states and obs/<key>."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open_hdf5(path)
        except OSError as error:
            way_out = "Restore it."
            if isinstance(error, BlockingIOError) or "already open" in str(error):
                way_out = "Another program is writing to it: close that, then import again."
            raise VipOfflineError(
                f"{path}: is no HDF5 file that can be opened ({error}). {way_out}"
            ) from error
        data = member(self._file, "data") if has(self._file, "data") else None
        if not isinstance(data, h5py.Group):
            raise VipOfflineError(
                f"{path}: has no group /data, so it is not robomimic's. It holds: "
                f"{', '.join(self._file) or 'nothing'}.{hdf5_of_another_tool({*self._file})}"
            )
        self._data = data
        self._left_out: dict[str, str] = {}
        self._demos = []
        for name in sorted(data, key=_in_order):
            with readable_errors(f"{path}, {name}", REPAIR_FILE):
                if _may_be_a_group(data, name):
                    self._demos.append(name)
                else:
                    self._left_out[f"data/{name}"] = "is no group, so no demonstration"

    @property
    def demos(self) -> list[str]:
        """Names of the demonstrations' groups, in the order of their numbers."""
        return [*self._demos]

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        if not self._demos:
            raise VipOfflineError(f"{self.path}: its group /data holds no demonstration.")
        lengths, broken = np.zeros(len(self._demos), np.int64), {}
        for index in range(len(self._demos)):
            try:
                lengths[index] = self._length(index)
            except VipOfflineError as error:
                broken[index] = str(error)
        whole = [index for index in range(len(self._demos)) if index not in broken]
        if not whole:
            raise VipOfflineError(broken[0])
        columns, left_out, notes = self._columns(whole, lengths)
        environment = self._json("env_args")
        settings = environment.get("env_kwargs")
        rate = settings.get("control_freq") if isinstance(settings, dict) else None
        pictures = [name for name, column in columns.items() if column.kind == "pictures"]
        if not pictures:
            notes.append(
                "there are no pictures: robomimic renders them with dataset_states_to_obs.py; "
                "without, nothing can be relabelled"
            )
        if "problem_info" in self._data.attrs:
            notes.append(
                "LIBERO's pictures stand on their heads, as its renderer gives them: a robot's "
                "camera does not"
            )
        arms = (tuple(name for name in names if name in columns) for names in ARM_NAMES)
        return Catalogue(
            format="robomimic HDF5",
            columns=columns,
            lengths=lengths,
            names=[self._name(index) for index in range(len(self._demos))],
            keys=ColumnMap(
                cameras={
                    name.removeprefix("obs/").removesuffix("_image").replace("/", "."): name
                    for name in pictures
                },
                # the first of the known sets of names of which any is there
                proprio=next(filter(None, arms), ()),
                action=("actions",),
                success="".join(guessed([*columns], SUCCESS_COLUMNS)),
                # where rewards were filled with others, the simulator's stand beside them
                reward="".join(guessed([*columns], ["true_reward", "rewards"])),
            ),
            control_rate=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
            task=str(environment.get("env_name", "")),
            splits=tuple(sorted(self._masks())),
            left_out=left_out,
            broken=broken,
            notes=tuple(notes),
            about={"env_args": environment},
        )

    def _columns(
        self, whole: Sequence[int], lengths: NDArray[np.int64]
    ) -> tuple[dict[str, Column], dict[str, str], list[str]]:
        """Columns that most demonstrations have, the reasons for those left out, and notes."""
        places = np.unique(np.linspace(0, len(whole) - 1, MOST_LISTED).astype(int))
        looked_at = [whole[place] for place in places]
        verdicts: dict[str, list[Column | str]] = {}
        examples: dict[str, Any] = {}
        singles: set[str] = set()  # that say success of a demonstration as a whole
        pictorial: set[str] = set()  # that have the shape of pictures
        for index in looked_at:
            for name, item in datasets_below(self._demo(index)):
                verdict = item
                if name in SUCCESS_COLUMNS and _is_single(item):
                    singles.add(name)
                    continue
                if isinstance(item, h5py.Dataset):
                    if item.shape and pictures_shape(item.shape[1:], item.dtype) is not None:
                        pictorial.add(name)
                    verdict = column_of_dataset(name, item, int(lengths[index]))
                    if isinstance(verdict, Column):
                        examples.setdefault(name, item)
                verdicts.setdefault(name, []).append(verdict)
        columns: dict[str, Column] = {}
        left_out = dict(self._left_out)
        defects: dict[str, str] = {}  # pictures and actions that cannot be read
        notes = []
        for name, met in verdicts.items():
            good = [verdict for verdict in met if isinstance(verdict, Column)]
            why = next((verdict for verdict in met if isinstance(verdict, str)), "")
            if name.split("/")[0] == "next_obs":
                left_out["next_obs"] = "is obs of the row that follows"
            elif 2 * len(good) >= len(looked_at):
                defect = self._defect(name, examples[name], good[0])
                if defect and (name in pictorial or name == "actions"):
                    defects[name] = f"{self.path}: {name} {defect}"
                elif defect:
                    left_out[name] = defect
                else:
                    columns[name] = good[0]
                    if good[0].kind == "pictures" and good[0].dtype == "uint16":
                        notes.append(sixteen_bit_note(name))
            elif name in pictorial and "not per row" in why:
                defects[name] = f"{self.path}: {name} {why}. Restore the file."
            else:
                some = f"only {len(met)} of {len(looked_at)} demonstrations have it"
                left_out[name] = some if len(good) == len(met) else why
        refuse_defects(columns, defects, ["actions"])
        notes += [f"success is taken from {name} of each demonstration" for name in sorted(singles)]
        if len(looked_at) < len(whole):
            notes.append(f"columns are those of {len(looked_at)} demonstrations of {len(whole)}")
        return columns, left_out | defects, notes

    def _defect(self, name: str, dataset: Any, column: Column) -> str:
        """Why a dataset cannot be read although it is one per row; "" if it can."""
        lacking = missing_filter(dataset)
        if lacking:
            return (
                f"is compressed with the HDF5 filter {lacking}, which is not installed. "
                "pip install hdf5plugin, or write the file again with gzip"
            )
        if column.kind == "pictures" and dataset.dtype != np.uint8:
            try:
                rgb(dataset[:2], "")
            except VipOfflineError as error:
                return str(error).lstrip(": ")
            except (OSError, RuntimeError, ValueError):  # damaged: reading its episode says so
                return ""
        return ""

    def _length(self, episode: int) -> int:
        """Rows of a demonstration that has actions and as many as it says."""
        where = self._where(episode)
        with readable_errors(where, REPAIR_FILE):
            demo = self._demo(episode)
            if not has(demo, "actions"):
                raise VipOfflineError(self._missing(episode, "actions"))
            actions = member(demo, "actions")
            if not isinstance(actions, h5py.Dataset) or not actions.shape:
                raise VipOfflineError(f"{where}: its actions are no array of rows. {REPAIR_FILE}")
            length = int(actions.shape[0])
            samples = int(demo.attrs.get("num_samples", length))
        if samples != length:
            raise VipOfflineError(
                f"{where}: num_samples says {samples}, its actions have {length} rows. "
                f"{REPAIR_FILE}"
            )
        if not length:
            raise VipOfflineError(
                f"{where}: has no rows. Delete it, or leave such episodes out with --skip-broken."
            )
        return length

    def _json(self, attribute: str) -> dict[str, Any]:
        """A JSON object among the attributes of /data."""
        text = self._data.attrs.get(attribute, "{}")
        try:
            value = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise VipOfflineError(
                f"{self.path}: {attribute} of /data is no JSON ({error})."
            ) from error
        return value if isinstance(value, dict) else {}

    def _where(self, episode: int) -> str:
        return f"{self.path}, {self._demos[episode]}"

    def _name(self, episode: int) -> str:
        name = self._demos[episode]
        try:
            return str(self._demo(episode).attrs.get("name", name))
        except (KeyError, OSError, RuntimeError):  # it is broken, which `_length` says
            return str(name)

    def _demo(self, episode: int) -> Any:
        return member(self._data, self._demos[episode])

    def _missing(self, episode: int, name: str) -> str:
        return (
            f"{self._where(episode)}: has no {name} (it has "
            f"{', '.join(self._demo(episode))}). Restore the file, name other columns with "
            "--key-map, or leave such episodes out with --skip-broken."
        )

    def _masks(self) -> dict[str, set[str]]:
        group = member(self._file, "mask") if has(self._file, "mask") else None
        if not isinstance(group, h5py.Group):
            return {}
        return {
            name: {value.decode() if isinstance(value, bytes) else str(value) for value in mask}
            for name, mask in ((name, member(group, name)) for name in group)
            if isinstance(mask, h5py.Dataset) and mask.ndim == 1
        }

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        demo, where = self._demo(episode), self._where(episode)
        values: dict[str, NDArray[Any]] = {}
        for name in columns:
            if not has(demo, name):
                raise VipOfflineError(self._missing(episode, name))
            with readable_errors(f"{where}: {name}", REPAIR_FILE):
                array = member(demo, name)[()]
                if pictures_shape(array.shape[1:], array.dtype) is not None:
                    array = rgb(array, f"{where}: {name}")
                values[name] = array
        masks = self._masks()
        with readable_errors(where, REPAIR_FILE):
            return EpisodeColumns(
                values,
                success=self._success(episode),
                task=self._task(demo),
                splits=tuple(
                    sorted(s for s, demos in masks.items() if self._demos[episode] in demos)
                ),
            )

    def _task(self, demo: Any) -> str:
        """Task instruction: per episode (robocasa) or per file (LIBERO)."""
        return _lang(demo, "ep_meta", "lang") or _lang(
            self._data, "problem_info", "language_instruction"
        )

    def _success(self, episode: int) -> bool | None:
        """Episode-level success label of a demonstration; None if there is none."""
        demo = self._demo(episode)
        for name in SUCCESS_COLUMNS:
            where = f"{self._where(episode)}: {name}"
            if name in demo.attrs:
                return truth(demo.attrs[name], where)
            if has(demo, name):  # as a whole, or per row, which is a column
                item = member(demo, name)
                return truth(item[()], where) if _is_single(item) else None
        if not has(demo, "rewards") or not self._rewarded:
            return None
        # machine-generated sets hold failures: their reward never becomes 1
        return bool((member(demo, "rewards")[()] >= SOLVED).any())

    @cached_property
    def _rewarded(self) -> bool:
        """Whether any demonstration has the reward of a success: in many files all are 0."""
        return any(map(self._solved, range(len(self._demos))))

    def _solved(self, episode: int) -> bool:
        try:
            return bool((member(self._demo(episode), "rewards")[()] >= SOLVED).any())
        except (VipOfflineError, OSError, KeyError, RuntimeError, TypeError, ValueError):
            return False  # a broken demonstration, which is named when it is read

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()


def _may_be_a_group(data: Any, name: str) -> bool:
    """Whether a name is of a group, or of one that cannot be opened: a broken demonstration."""
    try:
        return isinstance(member(data, name), h5py.Group)
    except (KeyError, OSError, RuntimeError):
        return True


def _is_single(item: Any) -> bool:
    """Whether a dataset holds one value of a whole demonstration."""
    return isinstance(item, h5py.Dataset) and item.shape in ((), (1,))


def _lang(group: Any, attribute: str, key: str) -> str:
    """A sentence in a JSON object among the attributes of a group; "" if there is none."""
    try:
        value = json.loads(str(group.attrs.get(attribute, "{}")))
    except ValueError:
        return ""
    words = value.get(key, "") if isinstance(value, dict) else ""
    return " ".join(words) if isinstance(words, list) else str(words)


def _in_order(name: str) -> tuple[str, int, str]:
    """demo_10 comes after demo_9."""
    match = DEMO.fullmatch(name)
    return (match[1], int(match[2]), name) if match else (name, -1, name)
