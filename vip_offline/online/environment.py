"""Simulators as an online learner meets them: observations, rewards, whole episodes.

All environments of a step are stepped together, and their frames go through the encoder in one
batch. No episode ends before its horizon: were it ended where the task is solved, a dense reward
that is above 0 would teach not to solve it. An episode is a success if it was solved at any time.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vip_offline.encoders.encoder import Encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options.online import Observe, OnlineReward
from vip_offline.rewards.functions import goal_distance, potential_difference
from vip_offline.simulation.vector_env import PlacementOrAction, StepResult, VectorSimulator
from vip_offline.utils.arrays import Floats


@dataclass(frozen=True)
class Trajectory:
    """One episode of T steps."""

    observation: NDArray[np.float32]  # (T + 1, D), raw
    action: NDArray[np.float32]  # (T, A), as the policy gave them; the simulator clips to [-1, 1]
    reward: Floats  # (T,)
    solved: NDArray[np.bool_]  # (T,) after each step
    distance: Floats  # (T + 1,) to the goal; NaN where no frame was looked at

    @property
    def success(self) -> bool:
        """Whether the task was solved at any time."""
        return bool(self.solved.any())


# (B, D) observations, and (episode, step) of each -> (B, A) actions
Act = Callable[[NDArray[np.float32], Sequence[tuple[int, int]]], NDArray[np.float32]]


class Environments(Protocol):
    """Whatever gives episodes."""

    observation_size: int  # D
    action_size: int  # A

    def collect(
        self,
        act: Act,
        placements: Sequence[int],
        horizon: int,
        *,
        until_solved: bool = False,
        filmed: Collection[int] = (),
        on_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[list[Trajectory], dict[int, NDArray[np.uint8]]]:
        """Run one episode from each placement.

        Args:
            act: chooses the actions of all environments of a step.
            placements: seeds of the starts.
            horizon: steps of each episode.
            until_solved: end an episode where it is solved, for evaluations.
            filmed: indices of placements whose frames are kept.
            on_steps: called with the number of steps that were just taken.

        Returns:
            Episodes in the order of the placements; filmed index -> (T + 1, H, W, 3) frames.
        """
        ...


@dataclass
class _Running:
    """An episode under way in a slot."""

    index: int  # among the placements
    observations: list[NDArray[np.float32]] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)  # the simulator's
    solved: list[bool] = field(default_factory=list)
    frames: list[NDArray[np.uint8]] = field(default_factory=list)

    def note(
        self, batch: StepResult, row: int, observation: NDArray[np.float32], distance: float
    ) -> None:
        """Add what a reset or a step led to."""
        self.observations.append(observation)
        self.distances.append(distance)
        if self.actions:
            self.rewards.append(float(batch.reward[row]))
            self.solved.append(bool(batch.solved[row]))


class VisualEnvironments:
    """Environments of one task, seen by an encoder and rewarded by the distance to a goal."""

    def __init__(
        self,
        simulators: VectorSimulator,
        observe: Observe,
        reward: OnlineReward,
        encoder: Encoder | None,
        goal: Floats | None,
    ) -> None:
        """Take simulators, which the caller closes, and look at them once for the sizes.

        Args:
            simulators: of the task.
            observe: what an observation is: embedding ++ proprioception, or the state.
            reward: of a step.
            encoder: of frames; None where neither observation nor reward needs one.
            goal: (D,) embedded goal; None likewise.
        """
        self._simulators, self._observe, self._reward = simulators, observe, reward
        self._encoder, self._goal = encoder, goal
        self.action_size = int(simulators.attribute("action_size"))
        first = simulators({0: 0}, drawn=None if encoder else ())
        observation, _ = self._seen(first)
        self.observation_size = observation.shape[1]

    def collect(
        self,
        act: Act,
        placements: Sequence[int],
        horizon: int,
        *,
        until_solved: bool = False,
        filmed: Collection[int] = (),
        on_steps: Callable[[int], None] = lambda steps: None,
    ) -> tuple[list[Trajectory], dict[int, NDArray[np.uint8]]]:
        """See `Environments.collect`."""
        waiting, running = deque(enumerate(placements)), dict[int, _Running]()
        episodes, films = dict[int, Trajectory](), dict[int, NDArray[np.uint8]]()
        while waiting or running:
            commands: dict[int, PlacementOrAction] = {}
            if running:
                observations = np.stack([episode.observations[-1] for episode in running.values()])
                times = [(episode.index, len(episode.actions)) for episode in running.values()]
                for (slot, episode), action in zip(
                    running.items(), act(observations, times), strict=True
                ):
                    episode.actions.append(action)
                    commands[slot] = action
                on_steps(len(running))
            for slot in self._simulators.order:
                if slot not in running and waiting:
                    index, placement = waiting.popleft()
                    running[slot] = _Running(index)
                    commands[slot] = placement
            running = dict(sorted(running.items()))
            commands = dict(sorted(commands.items()))
            films_now = {slot for slot, episode in running.items() if episode.index in filmed}
            self._step(commands, running, films_now)
            for slot, episode in [*running.items()]:
                ended = len(episode.actions) == horizon or (
                    until_solved and any(episode.solved[-1:])
                )
                if ended:
                    episodes[episode.index] = self._finished(running.pop(slot))
                    if episode.frames:
                        films[episode.index] = np.stack(episode.frames)
        return [episodes[index] for index in range(len(placements))], films

    def _step(
        self,
        commands: dict[int, PlacementOrAction],
        running: dict[int, _Running],
        filmed: set[int],
    ) -> None:
        """Reset or step the slots, and note what that led to."""
        drawn = sorted(commands) if self._encoder else sorted(filmed)
        batch = self._simulators(commands, drawn=drawn)
        observations, distances = self._seen(batch)
        for row, slot in enumerate(commands):
            running[slot].note(batch, row, observations[row], float(distances[row]))
        for slot, frame in zip(drawn, batch.frames, strict=True):
            if slot in filmed:
                running[slot].frames.append(frame.copy())  # not the batch that it is of

    def _seen(self, batch: StepResult) -> tuple[NDArray[np.float32], Floats]:
        """(B, D) observations and (B,) distances to the goal, NaN without an encoder."""
        embedding, distance = None, np.full(len(batch.proprio), np.nan)
        if self._encoder is not None:
            embedding = self._encoder(batch.frames)
            if not np.isfinite(embedding).all():
                raise VipOfflineError(
                    f"Encoder {self._encoder.name} gives an embedding that is not finite. Check "
                    "its weights, or choose another --encoder."
                )
            if self._goal is not None:
                distance = goal_distance(embedding, self._goal)
        if self._observe == "state":
            return batch.state.astype(np.float32), distance
        assert embedding is not None
        return np.concatenate([embedding, batch.proprio], axis=1), distance

    def _finished(self, episode: _Running) -> Trajectory:
        distance, solved = np.array(episode.distances), np.array(episode.solved, np.bool_)
        if self._reward == "visual":
            reward = potential_difference(distance)[:-1]
        elif self._reward == "sparse":
            reward = solved.astype(np.float64)
        else:
            reward = np.array(episode.rewards)
        return Trajectory(
            np.stack(episode.observations), np.stack(episode.actions), reward, solved, distance
        )
