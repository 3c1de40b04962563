"""robomimic's HDF5 files: https://robomimic.github.io/docs/datasets/overview.html."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vip_offline.data.sources.source import SOLVED, Catalogue, Column, KeyMap, Rows, guessed
from vip_offline.errors import VipOfflineError

# what robomimic's own configs take as low-dimensional observation of one arm
ARM = ("obs/robot0_eef_pos", "obs/robot0_eef_quat", "obs/robot0_gripper_qpos")
DEMO = re.compile(r"(.*?)(\d+)")


class Robomimic:
    """One file: /data/demo_<i> with actions, rewards, dones, states and obs/<key>."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise VipOfflineError(
                f"{path}: is no HDF5 file that can be opened ({error}). Restore it."
            ) from error
        data = self._file.get("data")
        if not isinstance(data, h5py.Group):
            raise VipOfflineError(
                f"{path}: has no group /data, so it is not robomimic's. It holds: "
                f"{', '.join(self._file) or 'nothing'}."
            )
        self._data = data
        self._demos = sorted(data, key=_in_order)

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        if not self._demos:
            raise VipOfflineError(f"{self.path}: its group /data holds no demonstration.")
        whole = [i for i in range(len(self._demos)) if "actions" in self._demo(i)]
        if not whole:
            raise VipOfflineError(self._missing(0, "actions"))
        columns: dict[str, Column] = {}
        self._demo(whole[0]).visititems(lambda name, item: self._describe(columns, name, item))
        lengths, broken = [], {}
        for index, name in enumerate(self._demos):
            demo = self._demo(index)
            length = int(demo["actions"].shape[0]) if "actions" in demo else 0
            said = demo.attrs.get("num_samples", length)
            lengths.append(length)
            if "actions" not in demo:
                broken[index] = self._missing(index, "actions")
            elif int(said) != length:
                broken[index] = (
                    f"{self.path}, {name}: num_samples says {said}, its actions have {length} "
                    "rows. Restore the file, or leave such episodes out with --skip-broken."
                )
        environment = self._environment()
        rate = environment.get("env_kwargs", {}).get("control_freq")
        pictures = [name for name, column in columns.items() if column.kind == "pictures"]
        proprio = tuple(name for name in ARM if name in columns)
        if not proprio:
            proprio = guessed([*columns], ["obs/proprio"])
        return Catalogue(
            format="robomimic HDF5",
            columns=columns,
            lengths=np.array(lengths, np.int64),
            names=[str(self._data[name].attrs.get("name", name)) for name in self._demos],
            keys=KeyMap(
                cameras={
                    name.removeprefix("obs/").removesuffix("_image").replace("/", "."): name
                    for name in pictures
                },
                proprio=proprio,
                action=("actions",),
                success="".join(guessed([*columns], ["succeeded"])),
                # where rewards were filled with others, the simulator's stand beside them
                reward="".join(guessed([*columns], ["true_reward", "rewards"])),
            ),
            control_rate=float(rate) if rate else None,
            task=str(environment.get("env_name", "")),
            splits=tuple(sorted(self._masks())),
            broken=broken,
            notes=()
            if pictures
            else (
                "there are no pictures: robomimic renders them with "
                "dataset_states_to_obs.py; without, nothing can be relabelled",
            ),
            about={"env_args": environment},
        )

    @staticmethod
    def _describe(columns: dict[str, Column], name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or name.startswith("next_obs/"):
            return
        shape, dtype = tuple(item.shape[1:]), item.dtype
        if item.ndim == 4 and dtype == np.uint8 and shape[-1] == 3:
            columns[name] = Column("pictures", shape, str(dtype))
        elif item.ndim >= 1 and dtype.kind in "biuf":
            columns[name] = Column("numbers", shape, str(dtype))

    def _environment(self) -> dict[str, Any]:
        text = self._data.attrs.get("env_args", "{}")
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise VipOfflineError(
                f"{self.path}: env_args of /data is no JSON ({error})."
            ) from error
        return found if isinstance(found, dict) else {}

    def _demo(self, episode: int) -> Any:
        demo = self._data[self._demos[episode]]
        if not isinstance(demo, h5py.Group):
            raise VipOfflineError(f"{self.path}: /data/{self._demos[episode]} is no group.")
        return demo

    def _missing(self, episode: int, name: str) -> str:
        return (
            f"{self.path}, {self._demos[episode]}: has no {name} (it has "
            f"{', '.join(self._demo(episode))}). Restore the file, name other columns with "
            "--key-map, or leave such episodes out with --skip-broken."
        )

    def _masks(self) -> dict[str, set[str]]:
        group = self._file.get("mask")
        if not isinstance(group, h5py.Group):
            return {}
        return {
            name: {each.decode() if isinstance(each, bytes) else str(each) for each in group[name]}
            for name in group
        }

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        demo = self._demo(episode)
        values: dict[str, NDArray[Any]] = {}
        for name in columns:
            if name not in demo:
                raise VipOfflineError(self._missing(episode, name))
            try:
                values[name] = demo[name][()]
            except OSError as error:
                raise VipOfflineError(
                    f"{self.path}, {self._demos[episode]}: {name} cannot be read ({error}). "
                    "Restore the file."
                ) from error
        masks, attributes = self._masks(), demo.attrs
        return Rows(
            values,
            success=self._success(demo),
            task=_instruction(str(attributes.get("ep_meta", "{}"))),
            splits=tuple(sorted(s for s, demos in masks.items() if self._demos[episode] in demos)),
        )

    def _success(self, demo: Any) -> bool | None:
        """Whether a demonstration solved its task, if the file says so."""
        if "success" in demo.attrs:
            return bool(demo.attrs["success"])
        if "rewards" not in demo or not self._rewarded():
            return None
        # machine-generated sets hold failures: their reward never becomes 1
        return bool((demo["rewards"][()] >= SOLVED).any())

    def _rewarded(self) -> bool:
        """Whether any demonstration has the reward of a success: in many files all are 0."""
        if not hasattr(self, "_any"):
            self._any = any(
                "rewards" in self._data[name] and (self._data[name]["rewards"][()] >= SOLVED).any()
                for name in self._demos
            )
        return self._any

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()


def _instruction(text: str) -> str:
    """The words of a task, where robocasa's scripts put them."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return ""
    return str(found.get("lang", "")) if isinstance(found, dict) else ""


def _in_order(name: str) -> tuple[str, int, str]:
    """demo_10 comes after demo_9."""
    found = DEMO.fullmatch(name)
    return (found[1], int(found[2]), name) if found else (name, -1, name)
