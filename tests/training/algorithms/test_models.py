from dataclasses import replace
from pathlib import Path

import d3rlpy
import numpy as np
import pytest
from made_up_training import (
    TRANSITIONS,
    fit,
    fitted,
    made_up,
    moments,
    own_buffer,
    parameters,
    policy_folder,
)

from vip_offline.options import Head, TrainOptions
from vip_offline.training.algorithms.models import (
    Algo,
    create,
    hyperparameters_of,
    load,
    policy_tensors,
    state_of,
    write_back,
)
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.networks.ensemble import Ensemble

SEED = 3
SMALL = TrainOptions(tau=1.0, weight_by="step", hidden=(12, 8), seed=SEED)
HEADS: tuple[Head, ...] = ("deterministic", "gaussian")


def half_way(options: TrainOptions, data: TrainingSet, steps: int = 30) -> Algo:
    """Brought there by an ensemble; numpy's generator stands where that left its own."""
    algo = create(data, options)
    state = state_of(algo, TRANSITIONS, SEED)
    ensemble = Ensemble([state], [data.transitions], hyperparameters_of(algo))
    ensemble.advance(steps)
    (state,) = ensemble.states()
    write_back(algo, state)
    buffer = own_buffer(data)  # draws when it is made
    np.random.set_state(state.generator)  # noqa: NPY002
    fit(algo, buffer, steps)
    return algo


@pytest.mark.parametrize("head", HEADS)
def test_d3rlpy_goes_on_as_if_it_had_never_been_away(head: Head) -> None:
    options = replace(SMALL, head=head)
    data = made_up(options)
    algo = half_way(options, data)
    whole, _ = fitted(algo, data, 60, SEED)
    for ours, theirs in zip(
        parameters(algo) + moments(algo), parameters(whole) + moments(whole), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    assert algo.grad_step == whole.grad_step == 60
    steps = {float(each["step"]) for each in algo.impl.policy_optim.state_dict()["state"].values()}
    assert steps == {60}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("hidden", "width", "actions"),
    [((12, 8), 5, 3), ((8,), 5, 1), ((6, 6), 5, 6), ((1,), 5, 3), ((4, 1, 4), 5, 2), ((8,), 1, 2)],
)
def test_a_model_that_is_written_back_is_the_model_that_was_taken(
    head: Head, hidden: tuple[int, ...], width: int, actions: int
) -> None:
    options = replace(SMALL, head=head, hidden=hidden)
    data = made_up(options, width, actions, embedding_size=1)
    algo = create(data, options)
    before = parameters(algo)
    # other weights, same shapes: what is not written shows
    other = create(data, replace(options, seed=SEED + 1))
    write_back(other, state_of(algo, TRANSITIONS, SEED))
    for expected, found in zip(before, parameters(other), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)
    for expected, found in zip(moments(other)[: len(before)], before, strict=True):
        assert expected.shape == found.shape


def test_the_model_does_not_hold_on_to_the_state() -> None:
    data = made_up(SMALL)
    algo = create(data, SMALL)
    state = state_of(algo, TRANSITIONS, SEED)
    kept = state.parameters.copy()
    write_back(algo, state)
    fit(algo, own_buffer(data), 5)
    np.testing.assert_array_equal(state.parameters, kept)
    assert not state.exp_avg.any()


@pytest.mark.parametrize("algo_name", ["rwr", "bc", "awr", "iql"])
def test_the_seed_decides_the_weights(algo_name: str) -> None:
    options = replace(SMALL, algo=algo_name)
    data = made_up(options)
    first, again = (parameters(create(data, options)) for _ in range(2))
    other = parameters(create(data, replace(options, seed=SEED + 1)))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[-2], other[-2])


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("reach", [0.9, 4.0])
def test_the_folder_and_d3rlpys_file_hold_one_policy(
    head: Head, standardise: bool, reach: float, tmp_path: Path
) -> None:
    options = replace(SMALL, head=head, standardise=standardise)
    data = made_up(options, reach=reach)
    algo = half_way(options, data)
    algo.save(str(tmp_path / "model.d3"))
    loaded = load(tmp_path / "model.d3")
    policy = policy_folder(tmp_path / "policy", algo, data, layers=2)
    x = np.concatenate(data.observations)
    given = np.asarray(policy.act(x[:, :4], x[:, 4:]))
    np.testing.assert_allclose(given, loaded.predict(x), atol=1e-5 * reach)
    np.testing.assert_array_equal(loaded.predict(x), algo.predict(x))
    if head == "gaussian":  # whose deviation no policy folder holds
        d3rlpy.seed(0)
        sampled = loaded.sample_action(x)
        d3rlpy.seed(0)
        np.testing.assert_array_equal(sampled, algo.sample_action(x))


def test_a_saved_model_trains_on(tmp_path: Path) -> None:
    data = made_up(SMALL)
    algo = half_way(SMALL, data)
    algo.save(str(tmp_path / "model.d3"))
    loaded, buffer = load(tmp_path / "model.d3"), own_buffer(data)
    for each in (algo, loaded):
        d3rlpy.seed(0)
        fit(each, buffer, 10)
    for ours, theirs in zip(parameters(loaded), parameters(algo), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("reach", [4.0, 0.01])
def test_actions_of_any_unit_go_through_the_network_and_back(reach: float, tmp_path: Path) -> None:
    data = made_up(SMALL, reach=reach)
    algo = create(data, SMALL)
    actions = np.concatenate([action[:-1] for action in data.actions])
    assert (
        0.9 < np.abs(data.transitions.action).max() < 0.92
    )  # 5 % of the width are left on each side
    scaler = algo.config.action_scaler
    np.testing.assert_allclose(scaler.transform_numpy(actions), data.transitions.action, atol=1e-6)
    np.testing.assert_allclose(
        scaler.reverse_transform_numpy(data.transitions.action), actions, atol=1e-6 * reach
    )
    # where the network saturates, the policy gives the ends of the range
    assert data.action_range is not None
    for sign, end in zip((-1, 1), data.action_range, strict=True):
        write_back(algo, state_of(algo, TRANSITIONS, SEED))
        algo.impl.policy._fc.bias.data[:] = sign * 100
        policy = policy_folder(tmp_path / str(sign), algo, data, layers=2)
        x = data.observations[0]
        given = np.asarray(policy.act(x[:1, :4], x[:1, 4:]))
        np.testing.assert_allclose(given[0], end, rtol=1e-6)
        np.testing.assert_allclose(algo.predict(x[:1])[0], end, rtol=1e-6)


def test_actions_are_left_as_they_are_on_request() -> None:
    options = replace(SMALL, normalise_actions="none")
    data = made_up(options)
    algo = create(data, options)
    assert algo.config.action_scaler is None
    assert not any(name.startswith("action_") for name in policy_tensors(algo, data))
    actions = np.concatenate([action[:-1] for action in data.actions])
    np.testing.assert_array_equal(data.transitions.action, actions)


def test_cap_temperature_and_mean_weight_reach_d3rlpy() -> None:
    options = replace(SMALL, weight_cap=1.5)
    data = made_up(options)
    config = create(data, options).config
    assert (config.tau, config.max_weight) == (1.0, 1.5)
    weight = np.exp(np.concatenate(data.weighed.slot) - config.log_mean_weight)
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_allclose(np.minimum(weight, 1.5), data.transitions.weight[:, 0], rtol=1e-6)
    assert create(made_up(SMALL), SMALL).config.max_weight is None
