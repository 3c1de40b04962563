import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vip_offline.label.rewards import goal_distance, mean_goal, potential_difference

embeddings = arrays(
    np.float64,
    st.tuples(st.integers(2, 12), st.just(3)),
    elements=st.floats(-1e3, 1e3),
)


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
