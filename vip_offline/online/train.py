"""The loop of an online training: collect, learn, evaluate, keep.

What is random in an iteration follows from the seed and the number of the iteration, so no state of
a generator needs to be kept, and a training that was killed goes on bit for bit on one machine.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.metrics import is_flat
from vip_offline.errors import VipOfflineError
from vip_offline.online.environment import Environments, Trajectory
from vip_offline.online.evaluation import evaluate
from vip_offline.online.fine_tuning import WARM_UP_NOISE
from vip_offline.online.learner import Learner
from vip_offline.online.named_arrays import under, without
from vip_offline.online.npg import NaturalPolicyGradient
from vip_offline.online.run_folder import (
    read_episodes,
    write_episodes,
    write_film,
    write_progress,
    write_weights,
)
from vip_offline.online.running_statistics import RunningStatistics
from vip_offline.options.online import FIRST_EVALUATION, OnlineRun
from vip_offline.policies.policy import Policy
from vip_offline.training.checkpoint import Arrays, Checkpoint, write_checkpoint

PLACEMENTS, NOISE, EXPLORING, LEARNING, WEIGHTS = range(5)  # what is drawn in an iteration


@dataclass(frozen=True)
class Actor:
    """An offline policy to start from."""

    policy: Policy
    tensors: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Start:
    """What the warm-up says of the inputs and the rewards."""

    statistics: RunningStatistics
    reward_std: float  # of a step; 1 where rewards did not differ, and of sparse ones

    def arrays(self) -> Arrays:
        """For the checkpoint."""
        return {
            "count": np.array(self.statistics.count),
            "mean": self.statistics.mean,
            "squares": self.statistics.squares,
            "reward_std": np.array(self.reward_std),
        }

    @classmethod
    def read(cls, arrays: Arrays) -> "Start":
        """The inverse of `arrays`."""
        statistics = RunningStatistics(int(arrays["count"]), arrays["mean"], arrays["squares"])
        return cls(statistics, float(arrays["reward_std"]))


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    metrics: list[dict[str, float]]  # per iteration, the warm-up as number 0
    outcomes: dict[int, NDArray[np.bool_]]  # iteration -> (P,) success on held-out placements

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> "Trained":
        """What a checkpoint holds of it."""
        outcomes = without("outcomes", checkpoint.arrays)
        return cls(checkpoint.metrics, {int(key): value for key, value in outcomes.items()})


def seed_of(run: OnlineRun, iteration: int, purpose: int) -> int:
    """The seed of one thing that is drawn in an iteration, below 2^32."""
    sequence = np.random.SeedSequence([run.online.seed, iteration, purpose])
    return int(sequence.generate_state(1)[0])


class OnlineTraining:
    """One training in its folder, which the caller has locked."""

    def __init__(
        self,
        folder: Path,
        run: OnlineRun,
        environments: Environments,
        identity: Mapping[str, Any],
        checkpoint: Checkpoint | None,
        actor: Actor | None = None,
        on_steps: Callable[[int], None] = lambda steps: None,
    ) -> None:
        """Begin with the warm-up and an evaluation, or go on where the checkpoint stands.

        Args:
            folder: of the run.
            run: all options.
            environments: of its task.
            identity: see `run_folder.identity_of`.
            checkpoint: of the same training; None: it begins.
            actor: policy to start from, of SAC.
            on_steps: called with the number of environment steps that were just taken for
                training; first with those of earlier starts.

        Raises:
            VipOfflineError: if a reward, an input or a weight is not finite, or the kept episodes
                are gone.
        """
        self._folder, self._run, self._environments = folder, run, environments
        self._identity, self._actor, self._on_steps = identity, actor, on_steps
        self._outcomes: dict[int, NDArray[np.bool_]] = {}
        self._metrics: list[dict[str, float]] = []
        self._learner: Learner
        if checkpoint is None:
            self._begin()
        else:
            self._go_on(checkpoint)

    @property
    def iteration(self) -> int:
        """Iterations done."""
        return len(self._metrics) - 1

    def _begin(self) -> None:
        began = time.monotonic()
        episodes = self._warm_up()
        statistics = RunningStatistics.none(self._environments.observation_size)
        for episode in episodes:
            statistics = statistics.updated(episode.observation)
        rewards = np.concatenate([episode.reward for episode in episodes])
        # whether random actions solve the task once must not decide how much a success is worth
        fixed = self._run.online.reward == "sparse" or is_flat(rewards)
        self._start = Start(statistics, 1.0 if fixed else float(rewards.std()))
        self._learner = self._make_learner()
        if self._learner.replays:
            self._learner.recall(episodes)
            write_episodes(self._folder, 0, episodes)
        self._note(0, episodes, {}, began)

    def _go_on(self, checkpoint: Checkpoint) -> None:
        self._start = Start.read(without("start", checkpoint.arrays))
        trained = Trained.read(checkpoint)
        self._metrics, self._outcomes = trained.metrics, trained.outcomes
        self._learner = self._make_learner()
        self._learner.restore(without("learner", checkpoint.arrays))
        if self._learner.replays:
            for iteration in range(len(self._metrics)):
                self._learner.recall(read_episodes(self._folder, iteration))
        # a process may have been killed between the checkpoint and these
        self._write_views()
        self._on_steps(self.iteration * self._run.episodes * self._run.online.horizon)

    def _make_learner(self) -> Learner:
        run, size = self._run, self._environments.action_size
        seed, statistics = seed_of(run, 0, WEIGHTS), self._start.statistics
        if run.online.algo == "npg":
            return NaturalPolicyGradient(size, run.npg, statistics, seed)
        from vip_offline.online.sac import SoftActorCritic  # d3rlpy takes seconds

        tensors = self._actor.tensors if self._actor else None
        scale = 1 / self._start.reward_std
        return SoftActorCritic(size, run.sac, statistics, scale, seed, tensors)

    def _warm_up(self) -> list[Trajectory]:
        """Episodes of random actions, or of the offline policy with a little noise."""
        count, horizon = self._run.online.warm_up, self._run.online.horizon
        shape = count, horizon, self._environments.action_size
        generator = np.random.default_rng(seed_of(self._run, 0, NOISE))
        random = generator.uniform(-1, 1, shape).astype(np.float32)
        noise = generator.standard_normal(shape, np.float32)

        def act(
            observation: NDArray[np.float32], times: Sequence[tuple[int, int]]
        ) -> NDArray[np.float32]:
            if self._actor is None:
                return np.stack([random[time] for time in times])
            width = self._actor.policy.manifest["embedding_size"]
            action = self._actor.policy.act(observation[:, :width], observation[:, width:])
            drawn = np.stack([noise[time] for time in times])
            return np.asarray(action + np.float32(WARM_UP_NOISE) * drawn, np.float32)

        episodes, _ = self._environments.collect(act, self._placements(0, count), horizon)
        return self._checked(episodes)

    def _placements(self, iteration: int, count: int) -> list[int]:
        """Starts of an iteration's episodes, none of which is evaluated on."""
        generator = np.random.default_rng(seed_of(self._run, iteration, PLACEMENTS))
        return [int(seed) for seed in generator.integers(FIRST_EVALUATION, size=count)]

    def _checked(self, episodes: list[Trajectory]) -> list[Trajectory]:
        for episode in episodes:
            for name in ("observation", "action", "reward"):
                if not np.isfinite(getattr(episode, name)).all():
                    raise VipOfflineError(
                        f"{self._folder}: after {self.iteration} iterations an episode's {name} is "
                        "not finite. A smaller --step-size or --learning-rate may help; the "
                        "training stands in its folder as it was before."
                    )
        return episodes

    def advance(self) -> None:
        """Do one iteration and keep it: afterwards it will not be done again.

        Raises:
            VipOfflineError: if something is not finite.
        """
        run, learner, began = self._run, self._learner, time.monotonic()
        iteration = self.iteration + 1
        horizon, actions = run.online.horizon, self._environments.action_size
        noise = np.random.default_rng(seed_of(run, iteration, NOISE)).standard_normal(
            (run.episodes, horizon, actions), np.float32
        )
        learner.begin(seed_of(run, iteration, EXPLORING))
        episodes, _ = self._environments.collect(
            lambda observation, times: learner.explore(
                observation, np.stack([noise[time] for time in times])
            ),
            self._placements(iteration, run.episodes),
            horizon,
            on_steps=self._on_steps,
        )
        self._checked(episodes)
        numbers = learner.learn(episodes, seed_of(run, iteration, LEARNING))
        if learner.replays:
            write_episodes(self._folder, iteration, episodes)
        self._note(iteration, episodes, numbers, began)

    def _note(
        self,
        iteration: int,
        episodes: list[Trajectory],
        numbers: dict[str, float],
        began: float,
    ) -> None:
        """Evaluate if it is time, and write everything down."""
        run, online = self._run, self._run.online
        returns = np.array([episode.reward.sum() for episode in episodes])
        line: dict[str, float] = {
            "iteration": iteration,
            "steps": iteration * run.episodes * online.horizon + online.warm_up * online.horizon,
            "return_mean": float(returns.mean()),
            "return_std": float(returns.std()),
            "train_success": float(np.mean([episode.success for episode in episodes])),
            **numbers,
        }
        distance = np.stack([episode.distance for episode in episodes])
        if np.isfinite(distance).all():
            line["train_distance_left"] = float(
                np.mean(distance[:, -1] / np.maximum(distance[:, 0], 1e-12))
            )
        if iteration % online.evaluate_every == 0 or iteration == run.iterations:
            outcome = evaluate(self._environments, self._learner, online, online.videos)
            self._outcomes[iteration] = outcome.success
            # the largest of several evaluations is expected above the policy's own rate
            best = max(float(success.mean()) for success in self._outcomes.values())
            line |= {**outcome.numbers, "success_cumulative_max": best}
            write_film(self._folder, outcome.films)
        line["seconds"] = time.monotonic() - began
        for name, values in self._learner.policy().items():
            if not np.isfinite(values).all():
                raise VipOfflineError(
                    f"{self._folder}: iteration {iteration} led to weights ({name}) that are not "
                    "finite. A smaller --step-size or --learning-rate may help; the training "
                    "stands in its folder as it was before."
                )
        self._metrics.append(line)
        arrays = {
            **under("start", self._start.arrays()),
            **under("learner", self._learner.arrays()),
            **under("outcomes", {str(key): value for key, value in self._outcomes.items()}),
        }
        write_checkpoint(self._folder, arrays, self._identity, self._metrics)
        self._write_views()

    def _write_views(self) -> None:
        """What people look at, made of what the checkpoint holds."""
        write_weights(self._folder, self._learner.policy())
        write_progress(self._folder, self._metrics)  # last: where it is current, so are the others

    def finish(self) -> Trained:
        """Do what is left; what is done already is not done again."""
        while self.iteration < self._run.iterations:
            self.advance()
        return Trained(self._metrics, self._outcomes)
