"""A labelled store -> the transitions that a policy learns from, checked and weighed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vip_offline.data.store import Label, Store, open_store, settings_of
from vip_offline.encode.preprocessing import fit_of
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.learn.descent import Columns, exponential_weight
from vip_offline.learn.interface import ACTIONS, FRAME, Interface
from vip_offline.learn.weighing import Weighed, weigh
from vip_offline.recipe import TrainOptions

ALGOS = ("rwr", "bc", "awr", "iql", "scratch-bc")
STANDARD_EPSILON = 1e-3  # added to standard deviations, d3rlpy's own
PIXELS = "pixels-64"  # what scratch-bc sees


@dataclass(frozen=True)
class HeldOut:
    """A demonstration that was kept back."""

    episode: int
    observation: NDArray[np.float32]  # (T - 1, D + P)
    action: NDArray[np.float32]  # (T - 1, A), in [-1, 1] as the network gives them


@dataclass(frozen=True)
class Statistics:
    """Of the inputs, over the training set."""

    mean: NDArray[np.float32]  # (D + P,)
    std: NDArray[np.float32]  # (D + P,), 1 for an input that never changes

    def scaled(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D + P) inputs -> as the network sees them, bit for bit what d3rlpy's scaler gives."""
        scaled: NDArray[np.float32] = (rows - self.mean) / (self.std + np.float32(STANDARD_EPSILON))
        return scaled


@dataclass(frozen=True)
class TrainingSet:
    """Transitions of the chosen episodes, ready for d3rlpy."""

    observations: list[NDArray[np.float32]]  # per episode (T, D + P): embedding ++ proprio
    actions: list[NDArray[np.float32]]  # per episode (T, A), as the store holds them
    weighed: Weighed
    statistics: Statistics | None  # that inputs are standardised by; None: raw
    action_range: NDArray[np.float32] | None  # (2, A), what -1 and 1 stand for; None: themselves
    held_out: tuple[HeldOut, ...]
    notes: tuple[str, ...]  # sentences for the user
    manifest: dict[str, Any]  # what of it the policy folder records
    goal: NDArray[np.float32] | None = None  # (K, D), embedded, per stage; None: there is not one

    @cached_property
    def columns(self) -> Columns:
        """All transitions as a regression sees them."""
        rows = np.concatenate([each[:-1] for each in self.observations])
        actions = np.concatenate([each[:-1] for each in self.actions])
        scores = np.concatenate(self.weighed.slot)
        return Columns(
            observation=rows if self.statistics is None else self.statistics.scaled(rows),
            action=to_reach(actions, self.action_range),
            weight=exponential_weight(
                torch.from_numpy(scores.astype(np.float32))[:, None],
                self.weighed.tau,
                self.weighed.log_mean_weight,
                self.weighed.cap,
            ).numpy(),
        )


def check_options(options: TrainOptions) -> None:
    """Refuse settings that cannot train.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    if options.algo not in ALGOS:
        raise VipOfflineError(
            f"Unknown algorithm {options.algo!r}.{did_you_mean(options.algo, ALGOS)}"
        )
    for name in ("steps", "batch_size", "learning_rate", "n_steps", "beta", "inverse_temperature"):
        if not 0 < getattr(options, name) < np.inf:
            raise VipOfflineError(f"{name} {getattr(options, name)}: must be above 0.")
    for name in ("target_ess", "expectile"):
        if not 0 < getattr(options, name) < 1:
            raise VipOfflineError(f"{name} {getattr(options, name)}: must lie between 0 and 1.")
    for name in ("weight_cap", "hold_out"):
        if not 0 <= getattr(options, name) < np.inf:
            raise VipOfflineError(f"{name} {getattr(options, name)}: must be 0 or above.")
    if not 0 <= options.discount <= 1:
        raise VipOfflineError(f"discount {options.discount}: must lie in [0, 1].")
    if not 0 <= options.seed < 2**32:
        raise VipOfflineError(f"seed {options.seed}: must be a whole number from 0 up.")
    if options.tau != "auto" and not (np.isfinite(options.tau) and options.tau >= 0):
        raise VipOfflineError(f"tau {options.tau}: must be a number from 0 up, or auto.")
    if not options.hidden or min(options.hidden) < 1:
        raise VipOfflineError(f"hidden {list(options.hidden)}: needs one positive size per layer.")


@dataclass(frozen=True)
class _Inputs:
    """What the policy will see of a frame, and where it comes from."""

    embedding: NDArray[np.float32]  # (rows, D)
    camera: str
    provenance: dict[str, Any]


def _inputs(store: Store, path: Path, options: TrainOptions) -> _Inputs:
    if options.algo == "scratch-bc":
        from vip_offline.encode.frozen import load_encoder  # imports torchvision

        (camera, *others) = store.cameras
        if others:
            raise VipOfflineError(
                f"{path}: holds the cameras {', '.join(store.cameras)}; scratch-bc sees one. "
                "Import or record a store of one camera."
            )
        encoder = load_encoder(PIXELS, fit=options.fit)
        read = store.frame_reader(camera)
        parts = [encoder(read(start, stop)) for start, stop in store.spans()]
        return _Inputs(np.concatenate(parts), camera, dict(encoder.provenance))
    label = store.label(options.label)
    name, camera = label.provenance["encoder"], label.provenance["camera"]
    embedding, provenance = store.embedding(name, camera)
    check_same_embeddings(path, label, provenance)
    fit = fit_of(provenance)
    if options.fit not in ("crop", fit):
        raise VipOfflineError(
            f"--fit {options.fit}: label {label.name!r} was made with --fit {fit}, and only "
            "scratch-bc chooses one of its own. Leave it out, or relabel with it."
        )
    return _Inputs(embedding, camera, {k: v for k, v in provenance.items() if k != "created"})


def check_same_embeddings(path: Path, label: Label, provenance: Mapping[str, Any]) -> None:
    """Refuse a label that was made from other embeddings than those that are there.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    name, camera = label.provenance["encoder"], label.provenance["camera"]
    fit = fit_of(provenance)
    wanted = "" if fit == "crop" else f" --fit {fit}"
    for key in ("weights_sha256", "preprocessing"):
        if label.provenance.get(key) != provenance.get(key):
            raise VipOfflineError(
                f"{path}: label {label.name!r} was made from other embeddings than those under "
                f"{name}/{camera} ({key} differs). Run `vip-offline relabel {path} --encoder "
                f"{name}{wanted} --name {label.name} --overwrite`."
            )


def training_set(path: Path, options: TrainOptions) -> TrainingSet:
    """Read what one policy learns from, and weigh it.

    Raises:
        VipOfflineError: on an unfinished store, a missing or NaN label, an episode without a
            transition, values that are not finite, or no episode left.
    """
    check_options(options)
    store = open_store(path)
    store.require_finished()
    inputs = _inputs(store, path, options)
    rewards = _rewards(store, path, options)
    proprio, action = store.data("proprio"), store.data("action")
    if not action.shape[1]:
        raise VipOfflineError(
            f"{path}: has no actions to learn from (it was imported without). Import it again with "
            "--key-map action=COLUMN."
        )
    chosen, kept_back = _episodes(store, path, options)
    for index in (*chosen, *kept_back):
        start, stop = store.spans()[index]
        where = f"{path}, episode {index}"
        if stop - start < 2:
            raise VipOfflineError(
                f"{where}: has {stop - start} row, and a transition needs two. Record or import "
                "the store without it."
            )
        _check_finite("proprio", proprio[start:stop], where)
        # what was done in the last observation, if anything was, belongs to no transition
        _check_finite("action", action[start : stop - 1], where)

    def observation(index: int) -> NDArray[np.float32]:
        start, stop = store.spans()[index]
        row_inputs = [inputs.embedding[start:stop], proprio[start:stop].astype(np.float32)]
        return np.concatenate(row_inputs, axis=1)

    def actions(index: int) -> NDArray[np.float32]:
        start, stop = store.spans()[index]
        values: NDArray[np.float32] = action[start:stop].astype(np.float32)
        values[-1] = np.nan_to_num(values[-1])  # where none was taken in the last observation
        return values

    reach = action_range([actions(index)[:-1] for index in chosen])
    observations = [observation(index) for index in chosen]
    statistics, constant = _statistics(observations)
    notes = []
    if reach is not None:
        changed = [each for each in range(reach.shape[1]) if list(reach[:, each]) != [-1, 1]]
        spans = ", ".join(f"{each}: {reach[0, each]:g} to {reach[1, each]:g}" for each in changed)
        notes.append(
            f"actions: reach beyond [-1, 1], so they are scaled to it, and back when the policy "
            f"acts (dimension {spans})"
        )
    if constant:
        width = observations[0].shape[1]
        notes.append(f"inputs: {constant} of {width} never change in the training set")
    if kept_back:
        notes.append(f"held out: episodes {', '.join(str(each) for each in kept_back)}")
    manifest = {
        "store": str(path),
        "task": store.attributes.get("task", ""),
        "control_rate": store.attributes.get("control_rate"),
        "proprio": store.attributes.get("proprio", []),
        "camera": inputs.camera,
        "image_shape": list(store.frames(inputs.camera.split(",")[0], 0, 1).shape[1:]),
        "encoder": inputs.provenance,
        "label": _label_identity(store, options),
        "interface": _interface(store, inputs.camera, [actions(each) for each in chosen]).plain(),
        "data_sha256": _data_hash(store, inputs.camera, proprio, action),
        "embedding_size": inputs.embedding.shape[1],
        "proprio_size": proprio.shape[1],
        "action_size": action.shape[1],
        "episodes": chosen,
        "held_out": kept_back,
        "placements": [int(each) for each in store.meta("placement")],
    }
    return TrainingSet(
        observations=observations,
        actions=[actions(index) for index in chosen],
        weighed=weigh([rewards[index] for index in chosen], observations, options),
        statistics=statistics if options.standardise else None,
        action_range=reach,
        held_out=tuple(
            HeldOut(index, observation(index)[:-1], to_reach(actions(index)[:-1], reach))
            for index in kept_back
        ),
        notes=tuple(notes),
        manifest=manifest,
        goal=None if options.algo == "scratch-bc" else store.label(options.label).goal,
    )


def _interface(store: Store, camera: str, actions: Sequence[NDArray[np.float32]]) -> Interface:
    """What the policy takes and gives, and how far its actions went in the training set."""
    frames = {}
    for each in camera.split(","):
        height, width, channels = store.frames(each, 0, 1).shape[1:]
        frames[f"{FRAME}{each}"] = (int(height), int(width), int(channels))
    taken = [each[:-1] for each in actions]  # the last row's belongs to no transition
    rows = np.concatenate(taken)
    steps = [np.abs(np.diff(each, axis=0)).max(axis=0, initial=0.0) for each in taken]
    width = rows.shape[1]
    attributes = store.attributes
    names, gripper = ACTIONS.get(str(attributes.get("source")), ((), ""))
    if attributes.get("action"):  # as whoever recorded it said
        names, gripper = tuple(attributes["action"]), str(attributes.get("gripper", ""))
    if len(names) != width:
        names, gripper = tuple(f"action[{place}]" for place in range(width)), ""
    proprio = store.data("proprio", 0, 1).shape[1]
    said = [str(each) for each in attributes.get("proprio", [])]
    if len(said) != proprio:
        said = [f"proprio[{place}]" for place in range(proprio)]
    return Interface(
        frames=frames,
        proprio=tuple(said),
        action=names,
        low=tuple(float(each) for each in rows.min(axis=0)),
        high=tuple(float(each) for each in rows.max(axis=0)),
        largest_step=tuple(float(each) for each in np.max(steps, axis=0)),
        gripper=gripper,
        control_rate=attributes.get("control_rate"),
    )


def _data_hash(store: Store, camera: str, proprio: NDArray[Any], action: NDArray[Any]) -> str:
    """sha256 of all demonstrations: their frames by the hashes that the store keeps."""
    digest = hashlib.sha256()
    for each in camera.split(","):
        digest.update(np.ascontiguousarray(store.content(each)).data)
    for array in (store.ends, store.meta("success"), proprio, action):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _label_identity(store: Store, options: TrainOptions) -> dict[str, Any]:
    if options.algo == "scratch-bc":
        return {}
    label = store.label(options.label)
    return {"name": label.name, **label.provenance}


def identity(path: Path, options: TrainOptions) -> dict[str, Any]:
    """What makes a policy this one: the settings, and what of the store they meet."""
    store = open_store(path)
    return {
        "options": asdict(options),
        "store": str(path),
        "label": settings_of(_label_identity(store, options)),
        "placements": [int(each) for each in store.meta("placement")],
    }


def differences(found: Mapping[str, Any], path: Path, options: TrainOptions) -> list[str]:
    """What of an `identity` that was written down is another now, in words."""
    wanted = json.loads(json.dumps(identity(path, options)))
    # an option that is younger than what was written down had its default
    had = {**json.loads(json.dumps(asdict(TrainOptions()))), **found["options"]}
    differing = [
        f"{key} {had[key]!r}, now {value!r}"
        for key, value in wanted["options"].items()
        if had[key] != value
    ]
    if found["store"] != wanted["store"]:
        differing.append(f"store {found['store']!r}, now {wanted['store']!r}")
    if found["label"] != wanted["label"]:
        name = found["label"].get("name")
        differing.append(f"label {name!r} was made again, with other settings")
    if found["placements"] != wanted["placements"]:
        differing.append("the store holds other episodes")
    return differing


def _rewards(store: Store, path: Path, options: TrainOptions) -> list[NDArray[np.float64]]:
    """Per episode of the store, those of its transitions."""
    if options.algo == "scratch-bc":
        return [np.zeros(stop - start - 1) for start, stop in store.spans()]
    label = store.label(options.label)
    rewards = []
    for index, (start, stop) in enumerate(store.spans()):
        reward = label.reward[start : stop - 1]
        if not np.isfinite(reward).all():
            row = int(np.argmin(np.isfinite(reward)))
            raise VipOfflineError(
                f"{path}, episode {index}: reward of row {row} in label {label.name!r} is "
                f"{reward[row]}; only the last row's may be NaN. Run `vip-offline relabel {path} "
                "--overwrite`."
            )
        rewards.append(reward.astype(np.float64))
    return rewards


def _episodes(store: Store, path: Path, options: TrainOptions) -> tuple[list[int], list[int]]:
    """The episodes to learn from, and those kept back: the same for every seed and algorithm."""
    success = store.meta("success")
    successes = [index for index in range(len(store)) if success[index]]
    if options.hold_out >= max(1, len(successes)) and options.hold_out > 0:
        raise VipOfflineError(
            f"hold_out {options.hold_out}: the store has {len(successes)} successful episodes, and "
            "at least one must be left to learn from."
        )
    drawn = np.random.default_rng(0).permutation(successes)[: options.hold_out]
    kept_back = sorted(int(each) for each in drawn)
    pool = successes if options.only_successes else range(len(store))
    chosen = [index for index in pool if index not in kept_back]
    if not chosen:
        raise VipOfflineError(f"{path}: no episode succeeded, so none is left to train on.")
    return chosen, kept_back


def _check_finite(name: str, values: NDArray[Any], where: str) -> None:
    if not np.isfinite(values).all():
        row, column = (int(each) for each in np.argwhere(~np.isfinite(values))[0])
        raise VipOfflineError(
            f"{where}: {name}[{row}, {column}] is {values[row, column]}. Repair the store, or "
            "record or import it without this episode."
        )


def action_range(actions: Sequence[NDArray[Any]]) -> NDArray[np.float32] | None:
    """What -1 and 1 are to stand for, per dimension; None where the actions are within already.

    Only dimensions that reach beyond [-1, 1] are scaled, from their least to their greatest.

    Args:
        actions: per episode (T, A).

    Returns:
        (2, A).
    """
    least = np.min([each.min(axis=0) for each in actions], axis=0)
    greatest = np.max([each.max(axis=0) for each in actions], axis=0)
    beyond = (least < -1) | (greatest > 1)
    if not beyond.any():
        return None
    same = least == greatest  # a constant is met in the middle
    low = np.where(beyond, np.where(same, least - 1, least), -1)
    high = np.where(beyond, np.where(same, greatest + 1, greatest), 1)
    return np.stack([low, high]).astype(np.float32)


def to_reach(action: NDArray[np.float32], reach: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(T, A) actions -> what the network is to give for them, in [-1, 1]."""
    if reach is None:
        return action
    low, high = reach
    scaled: NDArray[np.float32] = (action - low) / (high - low) * 2 - 1
    return scaled.clip(-1, 1)


def _statistics(observations: Sequence[NDArray[np.float32]]) -> tuple[Statistics, int]:
    """Mean and standard deviation of the inputs, and how many of them never change."""
    rows = np.concatenate([each[:-1] for each in observations])
    mean, std = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    constant = np.ptp(rows, axis=0) == 0
    # of one that never changed nothing is known: it may well change on a robot, and must not be
    # blown up a thousandfold then
    std = np.where(constant, 1.0, std)
    return Statistics(mean.astype(np.float32), std.astype(np.float32)), int(constant.sum())
