import numpy as np

from vip_offline.planning.mppi import mppi, mppi_weights
from vip_offline.utils.arrays import Floats

PAPER = (0.25, 0.8, 0.0)


def to_point(tried: Floats) -> Floats:
    """Minus the distance of the end of a walk to (3, -1)."""
    return -np.asarray(np.linalg.norm(tried.sum(axis=1) - [3, -1], axis=1))


def as_trajopt(start: Floats, seed: int, count: int, sigma: float, kappa: float) -> Floats:
    """One update, step by step as trajopt does it: noise in place, S.T, unclipped actions."""
    white = sigma * np.random.default_rng(seed).standard_normal((count, *start.shape))
    tried = []
    for noise in white:
        for step in range(2, len(noise)):
            noise[step] = 0.25 * noise[step] + 0.8 * noise[step - 1] + 0.0 * noise[step - 2]
        tried.append(start + noise)
    acts = np.array(tried)
    reward = to_point(acts)
    weights = np.exp(kappa * (reward - np.max(reward)))
    return np.asarray(np.sum((weights * acts.T).T, axis=0) / (np.sum(weights) + 1e-6))


def test_weights_by_hand() -> None:
    """Scores ln 2 / 5 apart at kappa 5: twice the weight."""
    weights = mppi_weights(np.array([1.0, 1.0 - np.log(2) / 5]), 5.0)
    np.testing.assert_allclose(weights, [1 / (1.5 + 1e-6), 0.5 / (1.5 + 1e-6)], rtol=1e-12)


def test_by_spread_the_scale_of_scores_does_not_matter() -> None:
    scores = np.array([0.0, -1.0, -3.0, -7.0])
    by_spread = mppi_weights(scores, 2.0, kappa_by_spread=True)
    np.testing.assert_allclose(mppi_weights(1000 * scores, 2.0, kappa_by_spread=True), by_spread)
    np.testing.assert_allclose(mppi_weights(scores, 2.0 / scores.std()), by_spread)
    assert not np.allclose(mppi_weights(1000 * scores, 2.0), mppi_weights(scores, 2.0))
    np.testing.assert_allclose(mppi_weights(np.ones(4), 2.0, kappa_by_spread=True), 0.25, rtol=1e-6)


def test_huge_scores_do_not_overflow() -> None:
    np.testing.assert_allclose(mppi_weights(np.array([1e300, -1e300]), 5.0), [1, 0], rtol=1e-5)


def test_a_decision_is_trajopt_s() -> None:
    start = np.random.default_rng(1).normal(size=(6, 2))
    plan = mppi(
        to_point, start, np.random.default_rng(7), sequences=32, sigma=1.5, coefficients=PAPER
    )
    np.testing.assert_allclose(plan.actions, as_trajopt(start, 7, 32, 1.5, 5.0), atol=1e-12)
    assert plan.scores.shape == (32,)
    assert np.abs(plan.actions).max() > 1  # not clipped


def test_it_finds_the_point_and_repeats_itself() -> None:
    plan, again = (
        mppi(to_point, np.zeros((5, 2)), np.random.default_rng(0), iterations=20) for _ in "ab"
    )
    np.testing.assert_array_equal(plan.actions, again.actions)
    assert to_point(plan.actions[None])[0] > -0.3
    assert to_point(np.zeros((1, 5, 2)))[0] < -3


def test_the_last_reward_alone_decides_as_the_sum_of_differences() -> None:
    """What the authors' code computes: every state of every sequence, one at a time.

    The sum of Eq. 1 over a sequence is d(first) - d(last), so it differs from minus the last
    distance by what all sequences share; weights by exp(kappa (R - max R)) do not see it.
    """
    goal, here = np.array([2.0, 1.0]), np.array([0.3, -0.2])

    def distance(place: Floats) -> float:
        return float(np.linalg.norm(np.tanh(place) - np.tanh(goal)))

    calls = 0

    def every_state(tried: Floats) -> Floats:
        nonlocal calls
        totals = []
        for sequence in tried:
            place, total = here, 0.0
            for action in sequence:
                before, place = distance(place), place + 0.2 * action
                total += before - distance(place)
                calls += 2
            totals.append(total)
        return np.array(totals)

    def ends_in_one_batch(tried: Floats) -> Floats:
        nonlocal calls
        calls += len(tried)
        ends = here + 0.2 * tried.sum(axis=1)
        return -np.asarray(np.linalg.norm(np.tanh(ends) - np.tanh(goal), axis=1))

    decisions, costs = [], []
    for score in every_state, ends_in_one_batch:
        calls = 0
        generator = np.random.default_rng(3)
        plan = mppi(score, np.zeros((12, 2)), generator, coefficients=PAPER)
        decisions.append(plan.actions)
        costs.append(calls)
    np.testing.assert_allclose(decisions[1], decisions[0], atol=1e-9)
    assert costs[0] == 24 * costs[1]
