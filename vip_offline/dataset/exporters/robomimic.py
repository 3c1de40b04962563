"""robomimic's HDF5: https://robomimic.github.io/docs/datasets/overview.html.

``rewards`` are the visual ones. The last row of an episode has none in the store, and gets 0:
robomimic trains on every row, and NaN would spoil it. The origin's own reward stands beside it as
``true_reward``. A last row in which no action was taken is left out, since every row of robomimic's
has one.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import (
    ExportResult,
    LabelledEpisode,
    LabelledStore,
    free_name,
    notes_of,
    own_name,
    provenance_text,
)
from vip_offline.dataset.exporters.patient_hdf5 import PatientFile
from vip_offline.dataset.importers.formats.robomimic import DEMO

GYM = 2  # robomimic's EnvType of what is none of its own simulators


def write_robomimic(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write one HDF5 file.

    Raises:
        VipOfflineError: if there are no actions.
    """
    labelled.require_actions("robomimic")
    names, demos = _names(labelled), _demo_names(labelled)
    splits = labelled.store.attributes.get("splits", [])
    masks: dict[str, list[str]] = {split: [] for split in splits}
    total = shortened = 0
    beyond = 0.0
    with PatientFile(path) as disk, h5py.File(disk, "w") as file:
        data = file.create_group("data")
        for episode, name in zip(labelled.episodes(), demos, strict=True):
            rows = episode.acted
            shortened += rows < len(episode)
            beyond = max(beyond, float(np.abs(episode.action[:rows]).max()))
            demo = data.create_group(name)
            for key, values in _values(episode, names):
                demo.create_dataset(key, data=values[:rows])
            for camera in labelled.store.cameras:
                _write_frames(demo, names[f"frames {camera}"], labelled, camera, episode)
            demo.attrs["num_samples"] = rows
            demo.attrs["success"] = episode.success
            if episode.name and episode.name != name:
                demo.attrs["name"] = episode.name
            if episode.task:
                demo.attrs["ep_meta"] = json.dumps({"lang": episode.task}, ensure_ascii=False)
            for split in episode.splits:
                masks[split].append(name)
            total += rows
            disk.check()
            on_episode(1)
        data.attrs["total"] = total
        data.attrs["env_args"] = json.dumps(_environment(labelled), ensure_ascii=False)
        for split, members in masks.items():
            file.create_dataset(f"mask/{split}", data=np.array([m.encode() for m in members], "S"))
        # beside the data, not an attribute: those end at 64 KiB
        file.create_dataset("visual_reward", data=provenance_text(labelled))
    return ExportResult(len(demos), total, tuple(_notes(labelled, names, shortened, beyond)))


def _names(labelled: LabelledStore) -> dict[str, str]:
    """Column of an episode -> path below the demo; names from robomimic are restored."""
    keys, extras = labelled.keys_of("robomimic"), labelled.store.keys("extras")
    names = {"reward": "rewards", **labelled.names(keys, "obs/{}_image", "obs/proprio")}
    action = own_name(keys.action)
    # robomimic looks for actions; another column of this name may play that role already
    names["action"] = action if "actions" in (action, *extras) and action else "actions"
    for name in extras:
        own = labelled.comes_from("robomimic")
        old = _old_name(name, names.values()) if own else f"obs/{name}"
        names[f"extra {name}"] = free_name(old, names.values())
    if labelled.has_success(keys):
        names["succeeded"] = free_name("succeeded", names.values())
    if labelled.has_true_reward:
        name = "true_reward" if keys.reward in ("", "rewards") else keys.reward
        names["true_reward"] = free_name(name, names.values())
    if "dones" not in names.values():
        names["dones"] = "dones"
    return names


def _old_name(name: str, taken: Collection[str]) -> str:
    """obs.object -> obs/object, unless that path is invalid or in use."""
    old = name.replace(".", "/")
    clash = any(
        existing.startswith(f"{old}/") or old.startswith(f"{existing}/") for existing in taken
    )
    return name if clash or "" in old.split("/") else old


def _demo_names(labelled: LabelledStore) -> list[str]:
    """Original demo names, if robomimic can read them; otherwise demo_0, demo_1, ..."""
    names = labelled.store.texts("name")
    fine = labelled.comes_from("robomimic") or all(
        (match := DEMO.fullmatch(name)) and match[1] == "demo_" for name in names
    )
    if fine and len(set(names)) == len(names):
        return names
    return [f"demo_{index}" for index in range(len(names))]


def _values(
    episode: LabelledEpisode, names: Mapping[str, str]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """(path below the demo, (T, ...) rows) of an episode, but for its frames."""
    dones = np.zeros(len(episode), np.int64)
    dones[-1] = episode.success
    columns = episode.columns() | {
        "reward": np.nan_to_num(episode.reward),
        "dones": dones[len(episode) - episode.acted :],
    }
    return ((names[key], values) for key, values in columns.items() if key in names)


def _write_frames(
    demo: Any, name: str, labelled: LabelledStore, camera: str, episode: LabelledEpisode
) -> None:
    shape = labelled.frame_shape(camera)
    dataset = demo.create_dataset(name, (episode.acted, *shape), np.uint8)
    stop = episode.start + episode.acted
    for place, frames in labelled.frame_blocks(camera, episode.start, stop):
        dataset[place : place + len(frames)] = frames


def _environment(labelled: LabelledStore) -> dict[str, Any]:
    """env_args: the origin's, or what is known."""
    attributes = labelled.store.attributes
    arguments = attributes.get("about", {}).get("env_args")
    if arguments:
        return dict(arguments)
    rate = attributes.get("control_rate")
    return {
        "env_name": str(attributes.get("task", "")),
        "type": GYM,
        "env_kwargs": {"control_freq": rate} if rate else {},
    }


def _notes(
    labelled: LabelledStore, names: Mapping[str, str], shortened: int, beyond: float
) -> Iterator[str]:
    yield "rewards are 0 in the last row of each episode whose action leads nowhere that is known"
    if beyond > 1:
        yield f"actions reach {beyond:g}; robomimic expects them within [-1, 1]"
    yield from notes_of(labelled, names, shortened)
