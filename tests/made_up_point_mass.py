"""A point on a line that is to come to 0: a world for online training without a simulator."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.online.environment import Act, Trajectory

REACH = 0.1  # how far an action moves it
NEAR = 0.1  # solved within


class PointMass:
    """Observations: position, its sign, and a constant; the reward is that of Eq. 1.

    A placement is where it starts, from -1 to 1.
    """

    observation_size = 3
    action_size = 1

    def __init__(self) -> None:
        self.placements: list[int] = []  # of all episodes so far

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
        self.placements += placements
        starts = [np.random.default_rng(placement).uniform(-1, 1) for placement in placements]
        place = np.array(starts)
        places, actions = [place], list[NDArray[np.float32]]()
        for step in range(horizon):
            times = [(index, step) for index in range(len(placements))]
            action = act(seen(place), times)
            place = place + REACH * np.clip(action[:, 0], -1, 1)
            places.append(place)
            actions.append(action)
            on_steps(len(placements))
        distance = np.abs(np.stack(places, axis=1))  # episodes, T + 1
        solved = distance[:, 1:] < NEAR
        action = np.stack(actions, axis=1)
        episodes = []
        for index in range(len(placements)):
            stop = horizon
            if until_solved and solved[index].any():
                stop = int(np.argmax(solved[index])) + 1
            rows = np.stack(places, axis=1)[index, : stop + 1]
            along = distance[index, : stop + 1]
            episodes.append(
                Trajectory(
                    seen(rows),
                    action[index, :stop],
                    along[:-1] - along[1:],
                    solved[index, :stop],
                    along,
                )
            )
        film = {index: np.zeros((2, 16, 16, 3), np.uint8) for index in filmed}
        return episodes, film


def seen(place: NDArray[np.float64]) -> NDArray[np.float32]:
    """(B,) positions -> (B, 3) observations."""
    return np.stack([place, np.sign(place), np.ones_like(place)], axis=1).astype(np.float32)
