"""Minari data sets, written by Minari's own library: https://minari.farama.org.

Pictures are stored as they are; Minari's default, JPEG, would change them and so their rewards.

An episode has one observation more than actions. Where an action was taken in the last observation
too, it is left out: what it led to is not known, nor its reward. Nobody claims that the world
ended with an episode: without the origin's own, the last step is a truncation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import (
    ExportResult,
    LabelledEpisode,
    LabelledStore,
    free_name,
    notes_of,
    provenance_text,
)
from vip_offline.dataset.exporters.patient_hdf5 import PatientFile
from vip_offline.dataset.importers.formats.minari import OBSERVATION
from vip_offline.errors import VipOfflineError

INFOS = "infos"
STEP_ENDS = ("terminations", "truncations")
BATCH = 256  # episodes that are written before the file is closed and opened again
Tree = dict[str, Any]  # name -> (T, ...) array or another tree


def write_minari(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write a data set; ``minari.MinariDataset(path / "data")`` opens it.

    Raises:
        VipOfflineError: if there are no actions, or Minari is not installed.
    """
    labelled.require_actions("Minari")
    try:
        import gymnasium
        import minari
        from minari.data_collector import EpisodeBuffer
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise VipOfflineError(
            f"Minari's data sets are written with Minari, which is not installed ({error}). "
            "pip install 'vip-offline[minari]'"
        ) from error
    names = _names(labelled)
    rows = dropped = stored = 0
    about: list[dict[str, Any]] = []  # of the episodes that were written last

    def buffers() -> Iterator[Any]:
        nonlocal rows, dropped
        for episode in labelled.episodes():
            tree = _tree(labelled, episode, names)
            dropped += episode.acted == len(episode)
            rows += len(episode) - 1
            about.append(_about(episode))
            yield EpisodeBuffer(
                observations=tree[OBSERVATION],
                actions=episode.action[:-1],
                rewards=episode.reward[:-1],
                **{name: tree[name][:-1] for name in STEP_ENDS},
                infos=tree.get(INFOS),
            )
            on_episode(1)

    first = _tree(labelled, next(labelled.episodes()), names)
    width = labelled.store.data("action", 0, 1).shape[1]
    path.mkdir()
    storage = MinariStorage.new(
        path / "data",
        observation_space=_space(first[OBSERVATION], gymnasium.spaces),
        # what the robot would take is not known; what it was given is in the data
        action_space=gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32),
        env_spec=_environment(labelled, gymnasium),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata(
        {
            "dataset_id": _id(labelled),
            "minari_version": minari.__version__,
            "description": str(labelled.store.attributes.get("task", "")),
            "visual_reward": provenance_text(labelled),
        }
    )
    waiting = buffers()
    with PatientFile(Path(storage._file_path)) as disk:
        storage._file_path = disk  # h5py takes a path or an open file
        for buffer in waiting:
            # HDF5 keeps something of each group for as long as the file is open
            storage.update_episodes(chain([buffer], islice(waiting, BATCH - 1)))
            disk.check()
            numbers = range(stored, stored + len(about))
            storage.update_episode_metadata(about, numbers)
            stored, about[:] = numbers.stop, []
    return ExportResult(len(labelled.store), rows, tuple(_notes(labelled, names, dropped)))


def _notes(labelled: LabelledStore, names: Mapping[str, str], dropped: int) -> Iterator[str]:
    if dropped:
        yield (
            f"the last action of {dropped} episodes is left out: what it led to was not observed"
        )
    yield from notes_of(labelled, names)


def _names(labelled: LabelledStore) -> dict[str, str]:
    """Column of an episode -> dotted name in the data set; names from Minari are restored."""
    keys, own = labelled.keys_of("Minari"), labelled.comes_from("Minari")
    names = labelled.names(keys, f"{OBSERVATION}.{{}}", f"{OBSERVATION}.proprio")
    names["action"] = "actions"
    roots = (f"{OBSERVATION}.", f"{INFOS}.")
    for name in labelled.store.keys("extras"):
        restored = own and (name.startswith(roots) or name in (OBSERVATION, *STEP_ENDS))
        names[f"extra {name}"] = free_name(name if restored else f"{INFOS}.{name}", names.values())
    if labelled.has_success(keys):
        names["succeeded"] = free_name(f"{INFOS}.success", names.values())
    if labelled.has_true_reward:
        name = keys.reward if keys.reward.startswith(roots) else f"{INFOS}.true_reward"
        names["true_reward"] = free_name(name, names.values())
    return names


def _tree(labelled: LabelledStore, episode: LabelledEpisode, names: Mapping[str, str]) -> Tree:
    """Observations as nested dictionaries."""
    length = len(episode)
    columns = episode.columns()
    for camera in labelled.store.cameras:
        frames = labelled.frames(camera, episode.start, episode.start + length)
        columns[f"frames {camera}"] = frames
    tree: Tree = {}
    for name, key in sorted((name, key) for key, name in names.items()):  # "a" before "a.b"
        _plant(tree, name, columns[key])
    ends = np.arange(length) == length - 2
    tree.setdefault("terminations", np.zeros(length, bool))
    tree.setdefault("truncations", ends & ~tree["terminations"].astype(bool))
    return tree


def _plant(tree: Tree, name: str, values: NDArray[Any]) -> None:
    """Insert an array at its dotted path; below an existing array the rest keeps its dots."""
    head, _, rest = name.partition(".")
    if not rest or not isinstance(tree.get(head, {}), dict) or rest.startswith("."):
        tree[name] = values
    else:
        _plant(tree.setdefault(head, {}), rest, values)


def _space(node: Any, spaces: Any) -> Any:
    """The gymnasium space of a tree of arrays."""
    if isinstance(node, dict):
        return spaces.Dict({name: _space(child, spaces) for name, child in node.items()})
    shape, dtype = node.shape[1:], node.dtype
    if dtype.kind == "b":
        return spaces.MultiBinary(shape or 1)
    if dtype.kind in "iu":
        return spaces.Box(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype.type)
    return spaces.Box(-np.inf, np.inf, shape, dtype.type)


def _environment(labelled: LabelledStore, gymnasium: Any) -> Any:
    """The environment, where its id says so: what Minari names a task is one."""
    task = str(labelled.store.attributes.get("task", ""))
    known = gymnasium.envs.registration.registry.get(task)
    if known is not None or not labelled.comes_from("Minari") or not task:
        return known
    return gymnasium.envs.registration.EnvSpec(task)


def _id(labelled: LabelledStore) -> str:
    """The original data set id, or one made from the store's name."""
    about = labelled.store.attributes.get("about", {})
    if labelled.comes_from("Minari") and about.get("id"):
        return str(about["id"])
    name = re.sub(r"[^-\w]", "-", labelled.path.stem)
    return f"vip-offline/{name}-v0"


def _about(episode: LabelledEpisode) -> dict[str, Any]:
    """Episode metadata that has no place in Minari's arrays."""
    about = {"success": episode.success, "name": episode.name, "task": episode.task}
    return {**about, "splits": list(episode.splits)} if episode.splits else about
