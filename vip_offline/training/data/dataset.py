"""A labelled store -> the transitions that a policy learns from, checked and weighed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.read_hashes import LENGTHS, Reads, reads
from vip_offline.dataset.read_hashes import changed_reads as changes
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_format import OF_DATA, settings_of
from vip_offline.dataset.validation.outliers import Outliers, find_outliers
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import WITHDRAWN, TrainOptions
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.policies.gripper import Gripper, find_grippers, gripper_note
from vip_offline.policies.interface import (
    ACTIONS,
    FRAME,
    SIMULATED_KINDS,
    Interface,
    check_action_kind,
)
from vip_offline.policies.policy import goal_columns
from vip_offline.training.data.action_kind import guess_action_kind
from vip_offline.training.data.action_scale import (
    action_range,
    clipped,
    limits_of,
    outlier_note,
    scale_note,
    to_reach,
)
from vip_offline.training.data.episode_list import with_numbers
from vip_offline.training.data.episode_selection import choice_notes, choose_episodes, outcomes_of
from vip_offline.training.data.input_statistics import Statistics, input_statistics
from vip_offline.training.data.inputs import camera_notes, inputs_of, policy_cameras
from vip_offline.training.networks.ensemble import Transitions
from vip_offline.training.weighting.notes import reward_notes, weighting_notes
from vip_offline.training.weighting.scores import Weighed, weigh

ALGOS = ("rwr", "bc", "awr", "iql", "scratch-bc")
# what younger options were before there were such options, where that is not their default, and
# since when. Actions were scaled only where they reached beyond [-1, 1]
BEFORE: dict[str, tuple[Any, str]] = {
    "normalise_actions": ("none", "before actions were normalised"),
    "gripper": ("regress", "before actions with two values were recognised"),
}


@dataclass(frozen=True)
class HeldOut:
    """A demonstration that was kept back."""

    episode: int
    observation: NDArray[np.float32]  # (T - 1, D + P)
    action: NDArray[np.float32]  # (T - 1, A), in [-1, 1] as the network gives them
    reward: NDArray[np.float64]  # (T - 1,) by the labelling; 0 of scratch-bc, which has none
    success: bool = True


@dataclass(frozen=True)
class TrainingSet:
    """Transitions of the chosen episodes, ready for d3rlpy."""

    observations: list[NDArray[np.float32]]  # per episode (T, D + P): embedding ++ proprio
    actions: list[NDArray[np.float32]]  # per episode (T, A), in the store's unit, outliers clipped
    weighed: Weighed
    statistics: Statistics | None  # that inputs are standardised by; None: raw
    action_range: NDArray[np.float32] | None  # (2, A), what -1 and 1 stand for; None: themselves
    held_out: tuple[HeldOut, ...]
    notes: tuple[str, ...]  # sentences for the user
    manifest: dict[str, Any]  # what of it the policy folder records
    read: Reads  # hashes of the arrays that it was made from
    goal: NDArray[np.float32] | None = None  # (K, D), embedded, per stage; None: there is not one
    goal_set: NDArray[np.float32] | None = None  # (G, D) of which the nearest counts; None: no such

    @cached_property
    def transitions(self) -> Transitions:
        """All transitions as a regression (rwr, bc) sees them."""
        assert self.weighed.weights is not None
        rows = np.concatenate([episode[:-1] for episode in self.observations])
        actions = np.concatenate([episode[:-1] for episode in self.actions])
        return Transitions(
            observation=rows if self.statistics is None else self.statistics.scaled(rows),
            action=to_reach(actions, self.action_range),
            weight=self.weighed.weights.astype(np.float32)[:, None],
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
    check_ranges(options)
    by_length = options.weighs_by == "outcome" or options.keep_best < 1
    if options.control == "clock" and options.weighs_by == "outcome" and options.algo == "rwr":
        raise OptionError(TrainOptions, "control", "clock", "weighs steps; by outcome use length.")
    if options.control == "length" and not by_length:
        raise OptionError(
            TrainOptions, "control", "length", "weighs episodes; use it with weight_by outcome."
        )
    if options.keep_best < 1 and options.algo == "scratch-bc":
        raise OptionError(
            TrainOptions, "keep_best", options.keep_best, "scratch-bc has no labelling. Use bc."
        )
    if not options.hidden:
        raise OptionError(TrainOptions, "hidden", (), "needs the size of at least one layer.")


def training_set(path: Path, options: TrainOptions) -> TrainingSet:
    """Read what one policy learns from, and weigh it.

    Raises:
        VipOfflineError: on an unfinished store, a missing or NaN label, an episode without a
            transition, values that are not finite, or no episode left.
    """
    check_options(options)
    store = open_store(path)
    store.require_finished()
    inputs = inputs_of(store, path, options)
    rewards = _rewards(store, path, options)
    proprio, action = store.data("proprio"), store.data("action")
    if not action.shape[1]:
        raise VipOfflineError(
            f"{path}: has no actions to learn from (it was imported without). Import it again with "
            "--key-map action=COLUMN."
        )
    outcomes = outcomes_of(store, path, options)
    chosen, kept_back = choose_episodes(store, path, outcomes, options)
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

    taken = [actions(index)[:-1] for index in chosen]  # the last row's belongs to no transition
    outliers, method = find_outliers(taken), options.normalise_actions
    if method == "none":
        _check_within_unit(path, chosen, taken)
    grippers = find_grippers(taken, outliers.marks) if options.gripper == "auto" else ()
    limits, reach = limits_of(taken, outliers, method), action_range(taken, outliers, method)
    learnt = [
        np.concatenate([rows, actions(index)[-1:]])
        for index, rows in zip(chosen, clipped(taken, outliers, limits), strict=True)
    ]
    observations = [observation(index) for index in chosen]
    measured = input_statistics(observations, inputs.embedding.shape[1])
    notes = []
    if reach is not None:
        notes.append(scale_note(reach, method))
    if outliers.listed:
        kept = method not in ("quantile", "std")
        notes.append(outlier_note(outliers, chosen, limits, kept=kept))
    notes += [gripper_note(gripper) for gripper in grippers]
    width = observations[0].shape[1]
    if measured.constant:
        notes.append(f"inputs: {measured.constant} of {width} never change in the training set")
    if measured.steady:
        notes.append(
            f"inputs: {measured.steady} of {width} hardly change in the training set; scaled as "
            "the others are"
        )
    notes += choice_notes(options, chosen, kept_back, len(store))
    label = None if options.algo == "scratch-bc" else store.label(options.label)
    if label is not None:
        notes += camera_notes(inputs.cameras, label.provenance)
    notes += reward_notes(_label_identity(store, options), options)
    failures = int((~store.meta("success")[chosen].astype(bool)).sum())
    notes += weighting_notes(options, len(chosen), failures)
    manifest = {
        "store": str(path),
        "task": store.attributes.get("task", ""),
        # of a simulator's task: where its target is, and where its episodes begin
        "target": store.attributes.get("target"),
        "start": store.attributes.get("start"),
        "control_rate": store.attributes.get("control_rate"),
        "proprio": store.attributes.get("proprio", []),
        "camera": ",".join(inputs.cameras),  # what the policy sees; the reward's is the label's
        "image_shape": list(store.frame_shape(inputs.cameras[0])),
        "encoder": inputs.provenance,
        "label": _label_identity(store, options),
        "interface": _interface(
            store,
            inputs.cameras,
            taken,
            [proprio[slice(*store.spans()[index])][:-1].astype(np.float32) for index in chosen],
            outliers,
            grippers,
        ).plain(),
        # what -1 and 1 of the network stand for
        "action_scale": None
        if reach is None
        else {"method": method, "low": reach[0].tolist(), "high": reach[1].tolist()},
        "action_outliers": [
            {**asdict(outlier), "episode": chosen[outlier.episode]} for outlier in outliers.listed
        ],
        "embedding_size": inputs.embedding.shape[1],
        "proprio_size": proprio.shape[1],
        "action_size": action.shape[1],
        "episodes": chosen,
        "held_out": kept_back,
        "placements": [int(placement) for placement in store.meta("placement")],
    }
    read = reads(store, sources(store, options))
    manifest["data_sha256"] = data_hash(store, inputs.cameras)
    # without all of the cameras that the goal was embedded from, no distance to it can be taken
    compared = label is not None and goal_columns(manifest) is not None
    good = store.meta("success").tolist()
    return TrainingSet(
        observations=observations,
        actions=learnt,
        weighed=weigh(
            [rewards[index] for index in chosen],
            observations,
            options,
            [outcomes[index] for index in chosen] if outcomes else (),
        ),
        statistics=measured.statistics if options.standardise else None,
        action_range=reach,
        held_out=tuple(
            HeldOut(k, observation(k)[:-1], to_reach(actions(k)[:-1], reach), rewards[k], good[k])
            for k in kept_back
        ),
        notes=tuple(notes),
        manifest=manifest,
        read=read,
        goal=label.goal if label and compared else None,
        goal_set=label.goal_set if label and compared else None,
    )


def _interface(
    store: Store,
    cameras: Sequence[str],
    actions: Sequence[NDArray[np.float32]],
    proprios: Sequence[NDArray[np.float32]],
    outliers: Outliers,
    grippers: tuple[Gripper, ...],
) -> Interface:
    """What the policy takes and gives, and how far its actions went, but for outliers.

    Args:
        store: of the demonstrations.
        cameras: whose frames it takes, in this order.
        actions: per episode (T, A), of its transitions.
        proprios: per episode (T, P), of the same rows.
        outliers: among the actions, which must not widen what a robot is allowed to do.
        grippers: among the dimensions.
    """
    frames = {f"{FRAME}{camera}": store.frame_shape(camera) for camera in cameras}
    kept = [
        np.where(marks, np.nan, rows) for rows, marks in zip(actions, outliers.marks, strict=True)
    ]
    steps = [np.fmax.reduce(np.abs(np.diff(rows, axis=0)), axis=0, initial=0.0) for rows in kept]
    width = outliers.low.size
    attributes = store.attributes
    source = str(attributes.get("source"))
    names, gripper = ACTIONS.get(source, ((), ""))
    if attributes.get("action"):  # as whoever recorded it said
        names, gripper = tuple(attributes["action"]), str(attributes.get("gripper", ""))
    if len(names) != width:
        names, gripper = tuple(f"action[{place}]" for place in range(width)), ""
    kind = check_action_kind(attributes.get("action_kind", ""), str(store.path))
    kind = kind or SIMULATED_KINDS.get(source, "")
    guess = "" if kind else guess_action_kind(actions, proprios)
    proprio = store.data("proprio", 0, 1).shape[1]
    names_of_proprio = [str(name) for name in attributes.get("proprio", [])]
    if len(names_of_proprio) != proprio:
        names_of_proprio = [f"proprio[{place}]" for place in range(proprio)]
    return Interface(
        frames=frames,
        proprio=tuple(names_of_proprio),
        action=names,
        low=tuple(outliers.low.tolist()),
        high=tuple(outliers.high.tolist()),
        largest_step=tuple(np.max(steps, axis=0).astype(float).tolist()),
        gripper=gripper,
        grippers=grippers,
        control_rate=attributes.get("control_rate"),
        action_kind=kind or guess,
        action_kind_guessed=bool(guess),
    )


def data_hash(store: Store, cameras: Sequence[str]) -> str:
    """sha256 of all demonstrations: their frames by the hashes that the store keeps."""
    digest = hashlib.sha256()
    for camera in cameras:
        digest.update(np.ascontiguousarray(store.content(camera)).data)
    for array in (store.ends, store.meta("success"), store.data("proprio"), store.data("action")):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def sources(store: Store, options: TrainOptions) -> list[str]:
    """What a policy learns from, as `dataset.read_hashes` names it."""
    keys = [LENGTHS, "meta/success", "meta/placement"]
    keys += [f"data/{name}" for name in ("proprio", "action") if name in store.keys("data")]
    if "success_labelled" in store.keys("meta"):
        keys.append("meta/success_labelled")
    if options.algo == "scratch-bc":
        return [*keys, *(f"frames/{camera}" for camera in options.cameras or store.cameras)]
    label = store.label(options.label)
    encoder = label.provenance["encoder"]
    cameras = policy_cameras(store, label, options)
    keys += [f"embeddings/{encoder}/{camera}" for camera in cameras]
    return [*keys, f"labels/{label.name}/reward"]


def _label_identity(store: Store, options: TrainOptions) -> dict[str, Any]:
    if options.algo == "scratch-bc":
        return {}
    label = store.label(options.label)
    return {"name": label.name, **label.provenance}


def identity(path: Path, options: TrainOptions) -> dict[str, Any]:
    """What makes a policy this one: the settings, and what of the store they meet."""
    store = open_store(path)
    options = with_numbers(store, path, options)
    return {
        "options": asdict(options),
        "store": str(path),
        "label": settings_of(_label_identity(store, options)),
        "read": reads(store, sources(store, options)),
    }


@dataclass(frozen=True)
class Differences:
    """How a policy differs from what the same command would train now."""

    settings: tuple[str, ...]  # in words
    data: tuple[str, ...]


def differences(before: Mapping[str, Any], path: Path, options: TrainOptions) -> Differences:
    """What of an `identity` that was written down is another now, in words.

    A policy from before there was an option of `BEFORE` is told from one that has its default.
    """
    now = identity(path, options)
    requested = json.loads(json.dumps({k: v for k, v in now.items() if k != "read"}))
    # an option that is younger than what was written down had its default
    older = {key: value for key, (value, _) in BEFORE.items()}
    had = {**json.loads(json.dumps(asdict(TrainOptions()))), **older, **before["options"]}
    # "the only labelling" is the one that was trained on, however many there are by now
    for options_, label in ((had, before["label"]), (requested["options"], requested["label"])):
        options_["label"] = options_["label"] or label.get("name", "")
    settings = [
        f"{key} {had[key]!r}, now {value!r}"
        if key in before["options"] or key not in BEFORE
        else f"trained {BEFORE[key][1]} ({key} {had[key]!r}), now {value!r}"
        for key, value in requested["options"].items()
        if had[key] != value
    ]
    for key, value in WITHDRAWN[TrainOptions].items():
        if had.get(key, value) != value:
            settings.append(f"{key} {had[key]!r}, now {value!r}")
    labels = [
        {k: v for k, v in label.items() if k not in (*OF_DATA, "asked")}
        for label in (before["label"], requested["label"])
    ]
    asked = [label["label"].get("asked") for label in (before, requested)]
    if labels[0] != labels[1] or (all(asked) and asked[0] != asked[1]):
        name = before["label"].get("name")
        settings.append(f"label {name!r} was made again, with other settings")
    data = changes(before["read"], now["read"])
    if not before["read"] and "data_sha256" in before:  # by an earlier release
        cameras = str(before["camera"]).split(",")
        if before["data_sha256"] != data_hash(open_store(path), cameras):
            data.append("its demonstrations are others")
    # however it was named: from another folder, or by its full path
    if data and Path(before["store"]).resolve() != path.resolve():
        settings.append(f"store {before['store']!r}, now {requested['store']!r}")
    return Differences(tuple(settings), tuple(data))


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


def _check_within_unit(
    path: Path, episodes: Sequence[int], actions: Sequence[NDArray[np.float32]]
) -> None:
    """Refuse actions that a network cannot give as they are."""
    for index, rows in zip(episodes, actions, strict=True):
        if np.abs(rows).max(initial=0.0) > 1:
            row, column = (int(place) for place in np.argwhere(np.abs(rows) > 1)[0])
            raise VipOfflineError(
                f"{path}, episode {index}: action[{row}, {column}] is {rows[row, column]:.4g}, "
                "and --normalise-actions none leaves the network's -1 to 1 as they are. Train with "
                "--normalise-actions quantile."
            )


def _check_finite(name: str, values: NDArray[Any], where: str) -> None:
    if not np.isfinite(values).all():
        row, column = (int(place) for place in np.argwhere(~np.isfinite(values))[0])
        raise VipOfflineError(
            f"{where}: {name}[{row}, {column}] is {values[row, column]}. Repair the store, or "
            "record or import it without this episode."
        )
