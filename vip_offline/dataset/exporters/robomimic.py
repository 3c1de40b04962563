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
    own_name,
    provenance_text,
    renamed,
    side_by_side,
)
from vip_offline.dataset.exporters.patient_hdf5 import PatientFile
from vip_offline.dataset.importers.formats.robomimic import DEMO

GYM = 2  # robomimic's EnvType of what is none of its own simulators


def write_robomimic(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write one HDF5 file.

    Args:
        labelled: what is written.
        path: of a file that is not there; see `atomic_output`.
        on_episode: called with 1 for each episode.

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
    """Array of an episode -> path below the demo; names from robomimic are restored."""
    keys, own, store = labelled.keys, labelled.comes_from("robomimic"), labelled.store
    extras = store.keys("extras")
    names = {"reward": "rewards"}
    for camera in store.cameras:
        names[f"frames {camera}"] = (own and keys.cameras.get(camera)) or f"obs/{camera}_image"
    action = own_name(keys.action) if own else ""
    # robomimic looks for actions; another column of this name may play that role already
    names["action"] = action if "actions" in (action, *extras) and action else "actions"
    # several columns that made it, or one of which it is a part, are among the extras
    if store.data("proprio", 0, 1).shape[1] and not (
        own and keys.proprio and not own_name(keys.proprio)
    ):
        names["proprio"] = (own and own_name(keys.proprio)) or "obs/proprio"
    for name in extras:
        old = _old_name(name, names.values()) if own else f"obs/{name}"
        names[f"extra {name}"] = free_name(old, names.values())
    if not (own and keys.success) and store.data("succeeded").any():
        names["succeeded"] = free_name("succeeded", names.values())
    if not np.isnan(store.data("true_reward")).all():
        own_reward = own and keys.reward not in ("", "rewards")
        names["true_reward"] = free_name(
            keys.reward if own_reward else "true_reward", names.values()
        )
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
    roles: dict[str, NDArray[Any]] = {
        "reward": np.nan_to_num(episode.reward),
        "action": episode.action,
        "proprio": episode.proprio,
        "succeeded": episode.succeeded,
        "true_reward": episode.true_reward,
        "dones": dones[len(episode) - episode.acted :],
        **{f"extra {name}": values for name, values in episode.extras.items()},
    }
    return ((names[key], values) for key, values in roles.items() if key in names)


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
    if shortened:
        yield f"the last observation of {shortened} episodes is left out: no action was taken in it"
    yield "rewards are 0 in the last row of each episode whose action leads nowhere that is known"
    if beyond > 1:
        yield f"actions reach {beyond:g}; robomimic expects them within [-1, 1]"
    yield from side_by_side(labelled, "actions")
    yield from renamed(labelled, names)
