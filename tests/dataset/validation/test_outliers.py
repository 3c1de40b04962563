"""What is an outlier among actions, and what only looks like one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.validation.outliers import Outlier, find_outliers

EPISODES, ROWS = 10, 80


def moving(seed: int = 0) -> NDArray[np.float64]:
    """(EPISODES, ROWS, 2): one smooth and one bang-bang dimension."""
    generator = np.random.default_rng(seed)
    smooth = np.sin(np.cumsum(generator.normal(0, 0.3, (EPISODES, ROWS)), axis=1))
    bang = np.sign(generator.normal(size=(EPISODES, ROWS)))
    return np.stack([smooth, bang], axis=2)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_spikes_are_found_whatever_the_unit(scale: float) -> None:
    actions = moving() * scale
    actions[4, 40, 0] = 1000 * scale
    actions[7, 0, 1] = -20 * scale
    outliers = find_outliers(list(actions))
    assert outliers.listed == (
        Outlier(4, 40, 0, 1000 * scale),
        Outlier(7, 0, 1, -20 * scale),
    )
    assert [int(marks.sum()) for marks in outliers.marks] == [0, 0, 0, 0, 1, 0, 0, 1, 0, 0]
    assert outliers.marks[4][40, 0] and outliers.marks[7][0, 1]
    assert outliers.high[0] == np.delete(actions[..., 0].ravel(), 4 * ROWS + 40).max()
    np.testing.assert_array_equal([outliers.low[1], outliers.high[1]], [-scale, scale])


def test_saturated_bimodal_and_heavy_tailed_actions_are_none() -> None:
    generator = np.random.default_rng(0)
    wide = (EPISODES, ROWS)
    columns = {
        "saturated": np.clip(generator.normal(0, 3, wide), -1, 1),
        "bang-bang": np.sign(generator.normal(size=wide)),
        "heavy-tailed": generator.laplace(size=wide),
        "constant": np.full(wide, 0.3),
        "nudged now and then": generator.normal(size=wide) * (generator.random(wide) < 0.05),
    }
    outliers = find_outliers(list(np.stack(list(columns.values()), axis=2)))
    assert outliers.listed == ()
    np.testing.assert_array_equal([outliers.low[1], outliers.high[1]], [-1, 1])


@pytest.mark.parametrize("noise", [0.0, 1e-3])
@pytest.mark.parametrize("open_", [-1.0, 0.0, 0.04])
def test_a_gripper_that_closes_once_in_the_whole_set(noise: float, open_: float) -> None:
    actions = np.full((EPISODES, 500, 1), open_)
    actions[3, 470:490] = 1  # 20 of 5000 rows, fewer than the quantiles leave out
    actions += np.random.default_rng(0).normal(0, noise, actions.shape)
    assert find_outliers(list(actions)).listed == ()


def test_a_command_that_comes_back_is_none_and_a_spike_beside_it_is() -> None:
    """A release of one row at the end of each episode of 1,000."""
    actions = np.random.default_rng(0).uniform(-0.01, 0.01, (EPISODES, 1000, 1))
    actions[:, -2] = 1.0
    assert find_outliers(list(actions)).listed == ()
    actions[2, 500] = 7.0
    assert find_outliers(list(actions)).listed == (Outlier(2, 500, 0, 7.0),)


def test_a_constant_with_a_spike() -> None:
    actions = np.full((2, 60, 1), -1.0)
    actions[1, 30] = 1000
    assert find_outliers(list(actions)).listed == (Outlier(1, 30, 0, 1000.0),)


def test_runs_end_where_episodes_do() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 80, 1))
    actions[4, -4:], actions[5, :4] = 50.0, 60.0  # two short runs, not one of eight
    assert len(find_outliers(list(actions)).listed) == 8


def test_of_few_rows_nothing_is_said_and_what_is_not_finite_is_left_aside() -> None:
    few = np.zeros((49, 1))
    few[7] = 1000
    assert find_outliers([few]).listed == ()
    actions = moving()
    actions[0, -1] = np.nan
    actions[1, 3, 0] = np.inf
    outliers = find_outliers(list(actions))
    assert outliers.listed == ()
    assert np.isfinite(outliers.high).all()


def test_a_short_pulse_in_every_episode_is_a_command() -> None:
    generator = np.random.default_rng(0)
    episodes = []
    for episode in range(10):
        action = generator.normal(0, 0.001, (1200, 1)).astype(np.float32)
        start = 100 * episode + 50
        action[start : start + 4] = 0.04 + generator.normal(0, 0.003, (4, 1))
        episodes.append(action)
    outliers = find_outliers(episodes)
    assert outliers.listed == ()
    assert outliers.high > 0.04
