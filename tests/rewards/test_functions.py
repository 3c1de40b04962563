import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vip_offline.rewards.functions import (
    DISTANCE_BLOCK,
    cosine_distance,
    episode_reward,
    follow_stages,
    goal_distance,
    mean_goal,
    negative_distance,
    potential_difference,
    shaping,
    sparse_success,
)

embeddings = arrays(
    np.float64,
    st.tuples(st.integers(2, 12), st.just(3)),
    elements=st.floats(-1e3, 1e3),
)


distances = arrays(np.float64, st.integers(2, 12), elements=st.floats(0, 1e3))


def test_a_case_by_hand() -> None:
    goal = mean_goal([[0.0, 6.0], [6.0, 2.0]])  # (3, 4)
    np.testing.assert_array_equal(goal, [3, 4])
    distance = goal_distance([[0, 0], [3, 0], [3, 4]], goal)
    np.testing.assert_array_equal(distance, [5, 4, 0])
    np.testing.assert_array_equal(potential_difference(distance), [1, 4, np.nan])


@given(embeddings)
def test_rewards_sum_to_the_distance_covered(embedding: np.ndarray) -> None:
    distance = goal_distance(embedding, embedding[-1])
    reward = potential_difference(distance)
    assert np.isnan(reward[-1])
    assert not np.isnan(reward[:-1]).any()
    np.testing.assert_allclose(reward[:-1].sum(), distance[0], atol=1e-9)
    assert distance[-1] == 0


@given(embeddings, st.floats(-100, 100))
def test_only_the_offset_to_the_goal_counts(embedding: np.ndarray, shift: float) -> None:
    goal = embedding[0]
    np.testing.assert_allclose(
        goal_distance(embedding + shift, goal + shift), goal_distance(embedding, goal), atol=1e-6
    )


DISTANCE = np.array([8.0, 6.0, 7.0, 3.0])


def test_every_reward_by_hand() -> None:
    nan = np.nan
    np.testing.assert_array_equal(potential_difference(DISTANCE, 2), [1, 3, 4, nan])
    np.testing.assert_array_equal(shaping(DISTANCE, 0.5), [5, 2.5, 5.5, nan])
    np.testing.assert_array_equal(shaping(DISTANCE, 0.5, 2), [6.25, 5.25, 5.5, nan])
    np.testing.assert_array_equal(negative_distance(DISTANCE), [-6, -7, -3, nan])
    np.testing.assert_array_equal(negative_distance(DISTANCE, 9), [-3, -3, -3, nan])
    np.testing.assert_array_equal(sparse_success(DISTANCE, 6), [1, 0, 1, nan])


@given(distances, st.floats(0, 1))
def test_both_forms_of_eq_1_are_one(distance: np.ndarray, gamma: float) -> None:
    """S(o') - S(o) = (1 - gamma) S(o') + (gamma S(o') - S(o))."""
    second = (1 - gamma) * negative_distance(distance) + shaping(distance, gamma)
    np.testing.assert_allclose(potential_difference(distance), second, atol=1e-9)


@given(distances, st.integers(1, 15))
def test_n_steps_are_the_sum_of_single_ones(distance: np.ndarray, n: int) -> None:
    single = potential_difference(distance)[:-1]
    several = potential_difference(distance, n)[:-1]
    for step, value in enumerate(several):
        np.testing.assert_allclose(value, single[step : step + n].sum(), atol=1e-9)


def test_cosine_by_hand() -> None:
    rows = [[2.0, 0.0], [3.0, 3.0], [0.0, 0.5], [-1.0, 0.0]]
    expected = [0, 1 - np.sqrt(0.5), 1, 2]
    np.testing.assert_allclose(cosine_distance(rows, [5.0, 0.0]), expected, atol=1e-12)


def test_blocks_change_nothing() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2 * DISTANCE_BLOCK + 3, 7)).astype(np.float32)
    goal = generator.normal(size=7)
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(
        goal_distance(rows, goal), np.linalg.norm(exact - goal, axis=1), rtol=1e-12
    )
    cosine = exact @ goal / np.linalg.norm(exact, axis=1) / np.linalg.norm(goal)
    np.testing.assert_allclose(cosine_distance(rows, goal), 1 - cosine, atol=1e-12)


def test_a_goal_is_left_when_it_is_reached() -> None:
    # to the first goal 10 9 5 3 8, to the second 20 18 16 12 4
    to_goals = np.array([[10, 20], [9, 18], [5, 16], [3, 12], [8, 4]], float)
    stage, held = follow_stages(to_goals, 0.5)
    assert stage.tolist() == [0, 0, 1, 1, 1]  # 5 is half of 10
    np.testing.assert_array_equal(held[:, 0], [10, 9, 5, 5, 5])
    reward, distance, reached = episode_reward(to_goals, "difference", reach=0.5)
    np.testing.assert_array_equal(reward, [1, 4, 4, 8, np.nan])
    np.testing.assert_array_equal(distance, [10, 9, 16, 12, 4])
    assert reached == 2  # 4 is less than half of the 16 at which the second stage began
    # a step over the switch is rewarded up to it, not for what comes after
    np.testing.assert_array_equal(
        episode_reward(to_goals, "difference", n=3, reach=0.5)[0][:2], [5, 4]
    )
    assert episode_reward(to_goals, "difference", reach=0.2)[2] == 0
    assert episode_reward(to_goals[:, :1], "sparse", reach=0.4)[0][:-1].tolist() == [0, 0, 1, 0]


@given(embeddings, st.floats(0, 0.99))
def test_stages_never_go_back(to_goals: np.ndarray, reach: float) -> None:
    stage, held = follow_stages(np.abs(to_goals), reach)
    assert stage[0] in (0, 1, 2)
    assert (np.diff(stage) >= 0).all()
    assert held.shape == to_goals.shape
