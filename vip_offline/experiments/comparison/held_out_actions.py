"""What the policies of a comparison predict on the episodes that none of them has seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.offline.steps import HeldOutSteps, reward_weights, thirds
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.compare import jobs
from vip_offline.experiments.comparison.variants import BASELINE
from vip_offline.options import Recipe
from vip_offline.policies.novelty import novelty, training_embeddings
from vip_offline.policies.policy import Policy
from vip_offline.training.data.dataset import TrainingSet, training_set
from vip_offline.utils.arrays import Floats
from vip_offline.utils.console import Bar


@dataclass(frozen=True)
class EpisodeNovelty:
    """How far the frames of one held-out episode are from all that was trained on."""

    episode: int
    success: bool
    novelty: NDArray[np.float64] | None  # (T - 1,), 1 is ordinary; None: not known


@dataclass(frozen=True)
class HeldOutActions:
    """Demonstrated and predicted actions, all in the scale of the baseline's training set.

    Variants that learn from other episodes scale actions otherwise; their errors would be in other
    units.
    """

    steps: HeldOutSteps
    predicted: dict[str, Floats]  # variant -> (S, N, A)
    names: tuple[str, ...]  # (A,) of the action's dimensions
    novelty: tuple[EpisodeNovelty, ...]


def held_out_actions(recipe: Recipe, bar: Bar) -> HeldOutActions:
    """Let every policy of a recipe predict the actions of the held-out episodes.

    Raises:
        VipOfflineError: if no episode is held out, or a policy cannot be read.
    """
    trainings = jobs(recipe)
    base_job = trainings[BASELINE][0]
    base = training_set(base_job.store, base_job.options)
    if not any(episode.success for episode in base.held_out):
        raise VipOfflineError(
            f"{recipe.store}: no successful episode is held out, so there is nothing to compare "
            "the variants on. Train with --hold-out 2 or more."
        )
    predicted = dict[str, Floats]()
    total = sum(map(len, trainings.values()))
    with bar("predict", total, "policy") as advance:
        for arm, arm_jobs in trainings.items():
            data = base if arm == BASELINE else training_set(base_job.store, arm_jobs[0].options)
            seeds = list[Floats]()
            for job in arm_jobs:
                seeds.append(_predict(Policy.load(job.out), data, base))
                advance(1)
            predicted[arm] = np.stack(seeds)
    return HeldOutActions(
        _steps(base), predicted, tuple(base.manifest["interface"]["action"]), _novelty(base)
    )


def _steps(base: TrainingSet) -> HeldOutSteps:
    lengths = [len(episode.action) for episode in base.held_out]

    def of_steps(values: Sequence[int]) -> NDArray[np.int64]:
        return np.repeat(np.array(values, np.int64), lengths)

    return HeldOutSteps(
        episode=of_steps([episode.episode for episode in base.held_out]),
        success=of_steps([episode.success for episode in base.held_out]).astype(bool),
        phase=np.concatenate([thirds(length) for length in lengths]),
        action=np.concatenate([episode.action for episode in base.held_out]).astype(np.float64),
        reward_weight=reward_weights([episode.reward for episode in base.held_out]),
    )


def _predict(policy: Policy, data: TrainingSet, base: TrainingSet) -> Floats:
    """(N, A) actions in the scale of `base`, of a policy that was trained on `data`."""
    own, common = data.action_range, base.action_range
    action = np.concatenate([policy.output(episode.observation) for episode in data.held_out])
    scaled = action.astype(np.float64)
    if own is None or common is None or np.array_equal(own, common):
        return scaled
    taken = own[0] + (scaled + 1) / 2 * (own[1] - own[0])
    return np.asarray((taken - common[0]) / (common[1] - common[0]) * 2 - 1)


def _novelty(base: TrainingSet) -> tuple[EpisodeNovelty, ...]:
    width = base.manifest["embedding_size"]
    rows = [observation[:, :width] for observation in base.observations]
    episode = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    known = training_embeddings(np.concatenate(rows), episode)
    return tuple(
        EpisodeNovelty(
            episode.episode, episode.success, novelty(episode.observation[:, :width], known)
        )
        for episode in base.held_out
    )
