"""A labelled store -> d3rlpy's data set -> RWR or BC -> a policy folder."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import torch
from d3rlpy.constants import ActionSpace
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.preprocessing import StandardObservationScaler
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.data.durable import only_writer
from vip_offline.data.store import now, open_store, settings_of
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.learn.policy import MANIFEST, read_manifest, write_policy
from vip_offline.learn.regression import RWR, FusedAdamFactory, RWRConfig
from vip_offline.learn.weights import (
    WeightSummary,
    clock,
    effective_sample_size,
    log_mean_exp,
    regression_weights,
    return_to_go,
    summarise_weights,
    tau_for,
)
from vip_offline.recipe import TrainOptions

ALGOS = ("rwr", "bc")
STEPS_PER_EPOCH = 1000  # d3rlpy averages the epoch's losses again and again: keep it short
STANDARD_EPSILON = 1e-3  # added to standard deviations, d3rlpy's own


@dataclass(frozen=True)
class TrainingSet:
    """Transitions of the chosen episodes, ready for d3rlpy."""

    observations: list[NDArray[np.float32]]  # per episode (T, D + P): embedding ++ proprio
    actions: list[NDArray[np.float32]]  # per episode (T, A)
    scores: list[NDArray[np.float64]]  # per episode (T - 1,), R in exp(tau R)
    tau: float
    summary: WeightSummary
    manifest: dict[str, Any]  # what of it the policy folder records

    @property
    def weights(self) -> NDArray[np.float64]:
        """(N,) of all transitions, mean 1."""
        return regression_weights(np.concatenate(self.scores), self.tau)


def check_options(options: TrainOptions) -> None:
    """Refuse settings that cannot train.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    if options.algo not in ALGOS:
        raise VipOfflineError(
            f"Unknown algorithm {options.algo!r}.{did_you_mean(options.algo, ALGOS)}"
        )
    for name in ("steps", "batch_size", "learning_rate"):
        if not getattr(options, name) > 0:
            raise VipOfflineError(f"{name} {getattr(options, name)}: must be above 0.")
    if not 0 < options.target_ess < 1:
        raise VipOfflineError(f"target_ess {options.target_ess}: must lie between 0 and 1.")
    if not 0 <= options.seed < 2**32:
        raise VipOfflineError(f"seed {options.seed}: must be a whole number from 0 up.")
    if options.tau != "auto" and not (np.isfinite(options.tau) and options.tau >= 0):
        raise VipOfflineError(f"tau {options.tau}: must be a number from 0 up, or auto.")
    if not options.hidden or min(options.hidden) < 1:
        raise VipOfflineError(f"hidden {list(options.hidden)}: needs one positive size per layer.")


def training_set(path: Path, options: TrainOptions) -> TrainingSet:
    """Read what one policy learns from, and weigh it.

    Raises:
        VipOfflineError: on an unfinished store, a missing or NaN label, actions that are not
            finite or outside [-1, 1], or no episode left.
    """
    check_options(options)
    store = open_store(path)
    store.require_finished()
    label = store.label(options.label)
    encoder, camera = label.provenance["encoder"], label.provenance["camera"]
    embedding, provenance = store.embedding(encoder, camera)
    for key in ("weights_sha256", "preprocessing"):
        if label.provenance.get(key) != provenance.get(key):
            raise VipOfflineError(
                f"{path}: label {label.name!r} was made from other embeddings than those under "
                f"{encoder}/{camera} ({key} differs). Run `vip-offline relabel {path} --encoder "
                f"{encoder} --name {label.name} --overwrite`."
            )
    proprio, action = store.data("proprio"), store.data("action")
    success = store.meta("success")
    chosen = [index for index in range(len(store)) if success[index] or not options.only_successes]
    if not chosen:
        raise VipOfflineError(f"{path}: no episode succeeded, so none is left to train on.")
    observations, actions, rewards = [], [], []
    for index in chosen:
        start, stop = store.spans()[index]
        where = f"{path}, episode {index}"
        reward = label.reward[start : stop - 1]
        if not np.isfinite(reward).all():
            row = int(np.argmin(np.isfinite(reward)))
            raise VipOfflineError(
                f"{where}: reward of row {row} in label {label.name!r} is {reward[row]}; only the "
                f"last row's may be NaN. Run `vip-offline relabel {path} --overwrite`."
            )
        _check_finite("proprio", proprio[start:stop], where)
        _check_finite("action", action[start:stop], where)
        _check_reach(action[start:stop], where)
        row_inputs = [embedding[start:stop], proprio[start:stop].astype(np.float32)]
        observations.append(np.concatenate(row_inputs, axis=1))
        actions.append(action[start:stop].astype(np.float32))
        rewards.append(reward.astype(np.float64))
    scores, tau = _scores(rewards, options)
    flat = np.concatenate(scores)
    manifest = {
        "store": str(path),
        "task": store.attributes.get("task", ""),
        "control_rate": store.attributes.get("control_rate"),
        "proprio": store.attributes.get("proprio", []),
        "camera": camera,
        "image_shape": list(store.frames(camera.split(",")[0], 0, 1).shape[1:]),
        "encoder": {k: v for k, v in provenance.items() if k != "created"},
        "label": {"name": label.name, **label.provenance},
        "embedding_size": embedding.shape[1],
        "proprio_size": proprio.shape[1],
        "action_size": action.shape[1],
        "episodes": chosen,
        "placements": [int(each) for each in store.meta("placement")],
    }
    summary = summarise_weights(regression_weights(flat, tau), tau)
    return TrainingSet(observations, actions, scores, tau, summary, manifest)


def _check_finite(name: str, values: NDArray[Any], where: str) -> None:
    if not np.isfinite(values).all():
        row, column = (int(each) for each in np.argwhere(~np.isfinite(values))[0])
        raise VipOfflineError(
            f"{where}: {name}[{row}, {column}] is {values[row, column]}. Repair the store, or "
            "record or import it without this episode."
        )


def _check_reach(action: NDArray[Any], where: str) -> None:
    if np.abs(action).max() > 1:
        row, column = (int(each) for each in np.argwhere(np.abs(action) > 1)[0])
        raise VipOfflineError(
            f"{where}: action[{row}, {column}] is {action[row, column]:g}; policies reach -1 to 1. "
            "Scale the actions before you record or import them."
        )


def _scores(
    rewards: list[NDArray[np.float64]], options: TrainOptions
) -> tuple[list[NDArray[np.float64]], float]:
    """R of every transition, per episode, and the temperature."""

    def horizon(of: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        return of if options.weight_by == "step" else [return_to_go(each) for each in of]

    scores = horizon(rewards)
    if options.algo == "bc":
        return scores, 0.0
    flat = np.concatenate(scores)
    tau = tau_for(flat, options.target_ess) if options.tau == "auto" else float(options.tau)
    splits = np.cumsum([len(each) for each in scores])[:-1]
    if options.control == "permuted":
        # the same weights on other transitions: what is left if the reward meant nothing
        flat = np.random.default_rng(options.seed).permutation(flat)
        return np.split(flat, splits), tau
    if options.control == "clock":
        # as strong as the reward's weights are, but by time alone
        share = effective_sample_size(regression_weights(flat, tau))
        longest = max(len(each) for each in rewards)
        scores = [clock(len(each), longest) for each in rewards]
        flat = np.concatenate(scores)
        return scores, tau_for(flat, share) if share < 1 - 1e-9 and np.ptp(flat) > 0 else 0.0
    return scores, tau


def _replay_buffer(data: TrainingSet) -> d3rlpy.dataset.ReplayBuffer:
    """d3rlpy's own, told what it would guess wrongly."""
    episodes = []
    for observations, actions, scores in zip(
        data.observations, data.actions, data.scores, strict=True
    ):
        # a timeout episode of T rows yields T - 1 transitions; the last row only closes it
        column = np.append(scores, 0.0).astype(np.float32)[:, None]
        episodes.append(d3rlpy.dataset.Episode(observations, actions, column, terminated=False))
    return d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=episodes,
        action_space=ActionSpace.CONTINUOUS,  # else whole-numbered actions count as discrete
        action_size=data.actions[0].shape[1],
    )


def _scaler(data: TrainingSet) -> StandardObservationScaler:
    rows = np.concatenate([each[:-1] for each in data.observations]).astype(np.float64)
    return StandardObservationScaler(
        mean=rows.mean(axis=0).astype(np.float32),
        std=rows.std(axis=0).astype(np.float32),
        eps=STANDARD_EPSILON,
    )


def fit(
    data: TrainingSet,
    options: TrainOptions,
    on_steps: Callable[[int], None] = lambda steps: None,
) -> tuple[RWR, list[dict[str, float]]]:
    """Train one policy through d3rlpy's public ``fit``.

    Args:
        data: from `training_set`.
        options: seed, steps, batch size, network.
        on_steps: called with the number of steps since the last call.

    Returns:
        The algorithm, and per epoch its last step and mean loss.

    Raises:
        VipOfflineError: if the loss is no longer finite.
    """
    d3rlpy.seed(options.seed)  # the one place: d3rlpy draws from the global generators
    config = RWRConfig(
        tau=data.tau,
        log_mean_weight=log_mean_exp(data.tau * np.concatenate(data.scores)),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        optim_factory=FusedAdamFactory(),
        encoder_factory=VectorEncoderFactory(hidden_units=list(options.hidden)),
        observation_scaler=_scaler(data) if options.standardise else None,
    )
    algo, buffer = config.create(), _replay_buffer(data)
    metrics: list[dict[str, float]] = []
    # d3rlpy trains n_steps // n_steps_per_epoch epochs and drops the rest: two fits, no rest
    step, rest = 0, options.steps % STEPS_PER_EPOCH
    for n_steps, epoch_steps in ((options.steps - rest, STEPS_PER_EPOCH), (rest, rest)):
        if n_steps == 0:
            continue
        for _, measured in algo.fitter(
            buffer,
            n_steps=n_steps,
            n_steps_per_epoch=epoch_steps,
            logger_adapter=NoopAdapterFactory(),
            show_progress=False,
        ):
            step += epoch_steps
            metrics.append({"step": step, "loss": float(measured["loss"])})
            if not np.isfinite(measured["loss"]):
                raise VipOfflineError(
                    f"The loss is {measured['loss']} after {step} steps: training diverged. Lower "
                    f"the learning rate ({options.learning_rate}) or tau ({data.tau:g})."
                )
            on_steps(epoch_steps)
    assert step == options.steps
    assert algo.impl is not None
    if not all(bool(torch.isfinite(each).all()) for each in algo.impl.policy.parameters()):
        raise VipOfflineError(
            f"The network's weights are not finite after {step} steps: training diverged. Lower "
            f"the learning rate ({options.learning_rate}) or tau ({data.tau:g})."
        )
    return algo, metrics


def _tensors(algo: RWR, data: TrainingSet, options: TrainOptions) -> dict[str, NDArray[np.float32]]:
    """The network's weights under plain names, and the scaling of its input."""
    assert algo.impl is not None
    linear = [m for m in algo.impl.policy.modules() if isinstance(m, torch.nn.Linear)]
    *hidden, out = linear  # registered in the order in which they are applied
    assert [m.out_features for m in hidden] == list(options.hidden)
    width = data.observations[0].shape[1]
    tensors = {"mean": np.zeros(width, np.float32), "std": np.ones(width, np.float32)}
    scaler = algo.config.observation_scaler
    if isinstance(scaler, StandardObservationScaler):
        assert scaler.mean is not None and scaler.std is not None
        tensors = {"mean": scaler.mean, "std": scaler.std + np.float32(scaler.eps)}
    names = [*(f"hidden.{index}" for index in range(len(hidden))), "out"]
    for name, module in zip(names, [*hidden, out], strict=True):
        tensors[f"{name}.weight"] = module.weight.detach().numpy()
        tensors[f"{name}.bias"] = module.bias.detach().numpy()
    return tensors


def is_trained(folder: Path, store: Path, options: TrainOptions) -> bool:
    """Whether this folder holds the policy that these options would train.

    Raises:
        VipOfflineError: if it holds another one.
    """
    if not (folder / MANIFEST).exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise VipOfflineError(
                f"{folder}: is there and is no policy folder. Give another --out."
            )
        return False
    manifest = read_manifest(folder)
    wanted = json.loads(json.dumps({"store": str(store), "options": asdict(options)}))
    differing = [
        f"{key} {manifest['options'].get(key)!r}, now {value!r}"
        for key, value in wanted["options"].items()
        if manifest["options"].get(key) != value
    ]
    if manifest["store"] != wanted["store"]:
        differing.append(f"store {manifest['store']!r}, now {wanted['store']!r}")
    data = open_store(store)
    label = data.label(options.label)
    if settings_of(manifest["label"]) != settings_of({"name": label.name, **label.provenance}):
        differing.append(f"label {label.name!r} was made again, with other settings")
    if manifest["placements"] != [int(each) for each in data.meta("placement")]:
        differing.append("the store holds other episodes")
    if differing:
        raise VipOfflineError(
            f"{folder}: holds a policy of other settings ({'; '.join(differing)}). Give another "
            "--out, or remove the folder."
        )
    return True


def train(
    store: Path,
    options: TrainOptions,
    out: Path,
    on_steps: Callable[[int], None] = lambda steps: None,
    on_weights: Callable[[WeightSummary], None] = lambda summary: None,
) -> WeightSummary:
    """Train one policy into the folder `out`, which appears when it is whole.

    Args:
        store: the labelled demonstrations.
        options: what to train.
        out: the policy folder.
        on_steps: called with the number of steps since the last call.
        on_weights: called once, before training, with what the weights do.

    Raises:
        VipOfflineError: see `training_set`, `fit` and `is_trained`.
    """
    data = training_set(store, options)
    on_weights(data.summary)
    if is_trained(out, store, options):
        on_steps(options.steps)
        return data.summary
    partial = out.with_name(f".{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with only_writer(partial):  # what a killed process left is taken over, a living one refused
        try:
            for leftover in partial.iterdir():
                leftover.unlink()
            _train_into(partial, data, options, on_steps)
            partial.rename(out)  # onto nothing or an empty folder: `is_trained` refused all else
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return data.summary


def _train_into(
    partial: Path,
    data: TrainingSet,
    options: TrainOptions,
    on_steps: Callable[[int], None],
) -> None:
    algo, metrics = fit(data, options, on_steps)
    algo.save(str(partial / "model.d3"))
    lines = "".join(json.dumps(each) + "\n" for each in metrics)
    (partial / "metrics.jsonl").write_text(lines, encoding="utf-8")
    manifest = {
        **data.manifest,
        "options": asdict(options),
        "weights": asdict(data.summary),
        "layers": len(options.hidden),
        "loss": metrics[-1]["loss"],
        "code_version": __version__,
        "created": now(),
    }
    write_policy(partial, _tensors(algo, data, options), manifest)


@dataclass(frozen=True)
class TrainJob:
    """One policy to train in a side process."""

    store: Path
    options: TrainOptions
    out: Path


def run_job(job: TrainJob) -> WeightSummary:
    """Train one policy on one thread; several of these run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train(job.store, job.options, job.out)
    finally:
        torch.set_num_threads(threads)


def seeded(options: TrainOptions, seeds: int) -> list[TrainOptions]:
    """The same settings with `seeds` consecutive seeds, from their own on."""
    return [replace(options, seed=options.seed + index) for index in range(seeds)]
