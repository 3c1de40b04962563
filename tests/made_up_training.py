"""Training sets of numbers drawn at random, and what d3rlpy itself makes of them."""

from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
from d3rlpy.constants import ActionSpace
from d3rlpy.logging import NoopAdapterFactory
from numpy.typing import NDArray

from vip_offline.dataset.validation.outliers import find_outliers
from vip_offline.options import TrainOptions
from vip_offline.policies.policy import Policy, write_policy
from vip_offline.training.algorithms.models import Algo, policy_tensors, strides
from vip_offline.training.data.action_scale import action_range
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.data.input_statistics import Statistics
from vip_offline.training.weighting.scores import weigh

LENGTHS = (6, 9, 4)
TRANSITIONS = sum(LENGTHS) - len(LENGTHS)


def made_up(
    options: TrainOptions,
    width: int = 5,
    actions: int = 3,
    reach: float = 0.9,
    embedding_size: int = 4,
) -> TrainingSet:
    """Three episodes whose actions lie in [-reach, reach]."""
    generator = np.random.default_rng(0)
    observed = [generator.normal(3, 2, (t, width)).astype(np.float32) for t in LENGTHS]
    acted = [generator.uniform(-reach, reach, (t, actions)).astype(np.float32) for t in LENGTHS]
    taken = [each[:-1] for each in acted]
    rewards = [generator.normal(size=t - 1) for t in LENGTHS]
    rows = np.concatenate([each[:-1] for each in observed])
    return TrainingSet(
        observations=observed,
        actions=acted,
        weighed=weigh(rewards, observed, options),
        statistics=Statistics(rows.mean(0), rows.std(0)) if options.standardise else None,
        action_range=action_range(taken, find_outliers(taken), options.normalise_actions),
        held_out=(),
        notes=(),
        manifest={
            "embedding_size": embedding_size,
            "proprio_size": width - embedding_size,
            "action_size": actions,
            "encoder": {"encoder": "made up", "weights_sha256": "0" * 64, "preprocessing": {}},
            "label": {},
            "options": {},
            "placements": [],
            "image_shape": [8, 8, 3],
            "store": "x.zarr",
            "task": "drawer-close",
        },
        read={"data/action": np.zeros((len(LENGTHS), 8), np.uint8)},
    )


def own_buffer(data: TrainingSet) -> d3rlpy.dataset.ReplayBuffer:
    """d3rlpy's replay buffer of it, built without any code of ours."""
    episodes = [
        d3rlpy.dataset.Episode(
            observed, acted, np.append(slot, 0).astype(np.float32)[:, None], terminated=False
        )
        for observed, acted, slot in zip(
            data.observations, data.actions, data.weighed.slot, strict=True
        )
    ]
    return d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=episodes,
        action_space=ActionSpace.CONTINUOUS,
        action_size=data.actions[0].shape[1],
    )


def fit(algo: Algo, buffer: d3rlpy.dataset.ReplayBufferBase, steps: int) -> float:
    """d3rlpy's own training, one epoch of it; returns the loss that it reports."""
    ((_, measured),) = algo.fit(
        buffer,
        n_steps=steps,
        n_steps_per_epoch=steps,
        logger_adapter=NoopAdapterFactory(),
        show_progress=False,
    )
    return float(measured["loss"])


def fitted(algo: Algo, data: TrainingSet, steps: int, seed: int) -> tuple[Algo, float]:
    """The same algorithm, built anew and trained by d3rlpy alone."""
    other, buffer = algo.config.create(), own_buffer(data)
    d3rlpy.seed(seed)  # after the buffer, which draws when it is made
    return other, fit(other, buffer, steps)


def parameters(algo: Algo) -> list[NDArray[np.float32]]:
    """Of the policy network, copies."""
    return [parameter.detach().numpy().copy() for parameter in algo.impl.policy.parameters()]


def moments(algo: Algo) -> list[NDArray[np.float32]]:
    """Of its Adam, in the order of the parameters."""
    optimizer: Any = algo.impl.policy_optim
    return [
        optimizer.state[parameter][name].numpy().copy()
        for name in ("exp_avg", "exp_avg_sq")
        for parameter in algo.impl.policy.parameters()
    ]


def policy_folder(path: Path, algo: Algo, data: TrainingSet, layers: int) -> Policy:
    """Written as a policy folder, and read again."""
    path.mkdir()
    manifest = {**data.manifest, "layers": layers, "strides": strides(algo)}
    write_policy(path, policy_tensors(algo, data), manifest)
    return Policy.load(path)
