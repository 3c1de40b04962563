"""d3rlpy's replay buffer with batches gathered by index instead of row by row."""

from collections.abc import Sequence
from typing import Any

import d3rlpy
import numpy as np
from d3rlpy.constants import ActionSpace
from d3rlpy.dataset import (
    EpisodeBase,
    InfiniteBuffer,
    ReplayBuffer,
    Transition,
    TransitionMiniBatch,
)
from d3rlpy.types import Observation
from numpy.typing import NDArray


class Picked(Sequence[Transition]):
    """The transitions of a batch, made when somebody asks for one."""

    def __init__(self, buffer: ReplayBuffer, indices: NDArray[np.int64]) -> None:
        self._buffer, self._indices = buffer, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        """As d3rlpy's own buffer would have picked it."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        episode, row = self._buffer.buffer[int(self._indices[index])]
        return self._buffer.transition_picker(episode, row)


class VectorReplayBuffer(ReplayBuffer):
    """Episodes that are complete when it is made, side by side in one array per column.

    Every batch is bit for bit the one that d3rlpy's `ReplayBuffer` gives after the same
    `d3rlpy.seed`: same draws from numpy's global generator, same rows, same types. Rows of
    observations lie in memory once more than in the episodes; next observations are the rows after.
    What d3rlpy loads from a file becomes one by ``VectorReplayBuffer(loaded.episodes)``.
    """

    def __init__(
        self,
        episodes: Sequence[EpisodeBase],
        action_space: ActionSpace | None = None,
        action_size: int | None = None,
    ) -> None:
        """Take the episodes; kind and number of actions are d3rlpy's guess unless given.

        Raises:
            TypeError: on observations of several parts, which this buffer does not join.
        """
        self._columns: dict[str, NDArray[np.float32]] = {}
        super().__init__(
            InfiniteBuffer(), episodes=episodes, action_space=action_space, action_size=action_size
        )
        if any(isinstance(episode.observations, list | tuple) for episode in episodes):
            raise TypeError("Observations of several parts: use d3rlpy's own ReplayBuffer.")
        rows = np.cumsum([0, *(len(episode.actions) for episode in episodes)])
        counts = [episode.transition_count for episode in episodes]
        # an episode that ends by timeout has one transition less than rows
        self._row = np.concatenate(
            [start + np.arange(count) for start, count in zip(rows, counts, strict=False)]
        )
        last = np.cumsum(counts) - 1
        ended = np.array([episode.terminated for episode in episodes])
        self._terminal = np.zeros((len(self._row), 1), np.float32)
        self._terminal[last[ended]] = 1
        for name in ("observations", "actions", "rewards"):
            column = np.concatenate([getattr(episode, name) for episode in episodes])
            self._columns[name] = np.asarray(column, np.float32)

    def append_episode(self, episode: EpisodeBase) -> None:
        """Add an episode, which only the constructor may do.

        Raises:
            TypeError: afterwards.
        """
        self._refuse_if_complete()
        super().append_episode(episode)

    def append(
        self,
        observation: Observation,
        action: int | NDArray[Any],
        reward: float | NDArray[Any],
    ) -> None:
        """Not possible.

        Raises:
            TypeError: always.
        """
        self._refuse_if_complete()

    def clip_episode(self, terminated: bool) -> None:
        """Not possible.

        Raises:
            TypeError: always.
        """
        self._refuse_if_complete()

    def _refuse_if_complete(self) -> None:
        if self._columns:
            raise TypeError("Make another buffer: this one's arrays are complete.")

    def sample_transition_batch(self, batch_size: int) -> TransitionMiniBatch:
        """Draw transitions, as many and the same ones as d3rlpy would."""
        index = np.random.randint(self.transition_count, size=batch_size)  # noqa: NPY002
        row = self._row[index]
        terminal = self._terminal[index]
        after = np.where(terminal[:, 0] > 0, row, row + 1)
        observations, actions = self._columns["observations"], self._columns["actions"]
        following, action = observations[after], actions[after]
        if terminal.any():  # what follows a terminal state is zeros, as in d3rlpy
            following[terminal[:, 0] > 0] = 0
            action[terminal[:, 0] > 0] = 0
        return TransitionMiniBatch(
            observations=observations[row],
            actions=actions[row],
            rewards=self._columns["rewards"][row],
            next_observations=following,
            next_actions=action,
            terminals=terminal,
            intervals=np.ones((batch_size, 1), np.float32),
            transitions=Picked(self, index),
        )


def vector_buffer(
    observations: Sequence[NDArray[np.float32]],
    actions: Sequence[NDArray[np.float32]],
    rewards: Sequence[NDArray[np.float64]],
) -> VectorReplayBuffer:
    """d3rlpy's view of demonstrations, told what it would guess wrongly.

    Args:
        observations: per episode (T, D).
        actions: per episode (T, A).
        rewards: per episode (T - 1,), of the step from row t to row t + 1.
    """
    episodes = []
    for observation, action, reward in zip(observations, actions, rewards, strict=True):
        # a timeout episode of T rows yields T - 1 transitions; the last row only closes it, and
        # nobody claims that the world ended there
        column = np.append(reward, 0.0).astype(np.float32)[:, None]
        episodes.append(d3rlpy.dataset.Episode(observation, action, column, terminated=False))
    return VectorReplayBuffer(
        episodes,
        action_space=ActionSpace.CONTINUOUS,  # else whole numbers are discrete
        action_size=actions[0].shape[1],
    )
