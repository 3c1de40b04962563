import itertools
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from typing import Any

import d3rlpy
import numpy as np
import pytest
import torch
from made_up_training import (
    TRANSITIONS,
    fitted,
    made_up,
    moments,
    parameters,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from vip_offline.options import Head, TrainOptions
from vip_offline.training.algorithms.models import (
    create,
    hyperparameters_of,
    state_of,
    write_back,
)
from vip_offline.training.networks.ensemble import (
    Ensemble,
    Hyperparameters,
    NetworkState,
    Transitions,
)

SEED = 3
SMALL = TrainOptions(tau=1.0, weight_by="step", hidden=(16, 16), weight_cap=3.0, seed=SEED)
HEADS: tuple[Head, ...] = ("deterministic", "gaussian")
SHAPES: list[tuple[tuple[int, ...], dict[str, int], int]] = [
    ((16, 16), {}, 32),
    ((16,), {}, 32),
    ((12, 6, 10), {}, 8),
    ((40,), {"actions": 1}, 32),
    ((16, 16), {}, 1),
    ((16,), {"reach": 4}, 4),
    ((1,), {"width": 1, "embedding_size": 1}, 4),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As trainings run; several split a sum in other places for one network than for many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def start(options: TrainOptions, **shape: int) -> tuple[NetworkState, Transitions, Hyperparameters]:
    data = made_up(options, **shape)
    algo = create(data, options)
    return state_of(algo, TRANSITIONS, options.seed), data.transitions, hyperparameters_of(algo)


def several(
    options: TrainOptions, seeds: int, **shape: int
) -> tuple[list[NetworkState], list[Transitions], Hyperparameters]:
    """Networks of their own seeds; every second learns from transitions of its own."""
    states, data, hyperparameters = [], list[Transitions](), None
    for seed in range(seeds):
        state, transitions, hyperparameters = start(replace(options, seed=seed), **shape)
        states.append(state)
        weight = np.roll(transitions.weight, seed, axis=0)
        data.append(data[-1] if seed % 2 else replace(transitions, weight=weight))
    assert hyperparameters is not None
    return states, data, hyperparameters


def advance(
    state: NetworkState, transitions: Transitions, hyperparameters: Hyperparameters, steps: int
) -> tuple[NetworkState, float]:
    """Of a single network."""
    ensemble = Ensemble([state], [transitions], hyperparameters)
    (loss,) = ensemble.advance(steps)
    return ensemble.states()[0], loss


def assert_equal(first: NetworkState, second: NetworkState) -> None:
    for name in ("parameters", "exp_avg", "exp_avg_sq"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert first.step == second.step
    np.testing.assert_array_equal(first.generator[1], second.generator[1])
    assert first.generator[2:] == second.generator[2:]


class Separate(nn.Module):
    """A network of torch's own layers, with the parameters of a state."""

    def __init__(self, state: NetworkState, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        widths = hyperparameters.widths
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        self.limits = hyperparameters.log_std_range
        if self.limits is not None:
            self.log_std = nn.Parameter(torch.zeros(1, widths[-1]))
        ordered = [*self.layers.parameters()] + ([self.log_std] if self.limits else [])
        self.ordered = ordered
        nn.utils.vector_to_parameters(torch.from_numpy(state.parameters.copy()), ordered)

    def loss(self, observation: Tensor, action: Tensor, weight: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            observation = torch.relu(layer(observation))
        mean = torch.tanh(last(observation))
        if self.limits is None:
            return (weight * (mean - action) ** 2).mean()
        low, high = self.limits
        log_std = low + torch.sigmoid(self.log_std) * (high - low)
        normal = torch.distributions.Normal(mean, log_std.exp())
        likelihood: Tensor = normal.log_prob(action)  # type: ignore[no-untyped-call]
        return -(weight * likelihood.sum(1, keepdim=True)).mean()

    def vector(self) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = nn.utils.parameters_to_vector(self.ordered).detach().numpy()
        return vector


def trained_by_torch(
    state: NetworkState, transitions: Transitions, hyperparameters: Hyperparameters, steps: int
) -> tuple[NDArray[np.float32], float]:
    """Parameters and mean loss, by torch's own layers and plain Adam on the same batches."""
    network = Separate(state, hyperparameters)
    optimizer = torch.optim.Adam(
        network.ordered,
        lr=hyperparameters.learning_rate,
        betas=hyperparameters.betas,
        eps=hyperparameters.eps,
    )
    generator = np.random.RandomState()
    generator.set_state(state.generator)
    columns: Sequence[Any] = [torch.from_numpy(column) for column in astuple(transitions)]
    total = 0.0
    for _ in range(steps):
        rows = generator.randint(len(transitions.weight), size=hyperparameters.batch_size)
        loss = network.loss(*(column[rows] for column in columns))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item()
    return network.vector(), total / steps


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("hidden", "shape", "batch_size"), SHAPES)
def test_it_is_as_many_separate_networks_of_torch(
    head: Head, hidden: tuple[int, ...], shape: dict[str, int], batch_size: int, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    options = replace(SMALL, head=head, hidden=hidden, batch_size=batch_size)
    states, data, hyperparameters = several(options, 4, **shape)
    ensemble = Ensemble(states, data, hyperparameters, device)
    losses = ensemble.advance(100)
    for before, after, transitions, loss in zip(
        states, ensemble.states(), data, losses, strict=True
    ):
        expected, expected_loss = trained_by_torch(before, transitions, hyperparameters, 100)
        assert np.abs(after.parameters - before.parameters).max() > 0.01
        scale = np.abs(expected).max()
        np.testing.assert_allclose(after.parameters, expected, rtol=0, atol=1e-4 * scale)
        assert loss == pytest.approx(expected_loss, rel=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_d3rlpys_fit_of_the_same_seed_ends_there_too(head: Head) -> None:
    options = replace(SMALL, head=head)
    data = made_up(options)
    algo = create(data, options)
    begun = state_of(algo, TRANSITIONS, SEED)
    after, loss = advance(begun, data.transitions, hyperparameters_of(algo), 100)
    theirs, their_loss = fitted(algo, data, 100, SEED)
    write_back(algo, after)
    for ours, expected in zip(
        parameters(algo) + moments(algo), parameters(theirs) + moments(theirs), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert loss == pytest.approx(their_loss, rel=1e-4)
    assert algo.grad_step == theirs.grad_step == 100


def test_cloning_has_the_loss_of_d3rlpys_own() -> None:
    options = replace(SMALL, algo="bc")
    data = made_up(options)
    algo = create(data, options)
    stock = d3rlpy.algos.BCConfig(
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        observation_scaler=algo.config.observation_scaler,
        action_scaler=algo.config.action_scaler,
        encoder_factory=algo.config.encoder_factory,
    ).create()
    _, their_loss = fitted(stock, data, 200, SEED)  # same first weights, same batches
    assert advance(*start(options), 200)[1] == pytest.approx(their_loss, rel=1e-4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("hidden", "shape", "batch_size"), SHAPES)
def test_a_network_of_many_ends_in_the_bits_of_one_alone(
    head: Head, hidden: tuple[int, ...], shape: dict[str, int], batch_size: int
) -> None:
    options = replace(SMALL, head=head, hidden=hidden, batch_size=batch_size)
    states, data, hyperparameters = several(options, 5, **shape)
    together = Ensemble(states, data, hyperparameters)
    losses = together.advance(30)
    for number, (after, loss) in enumerate(zip(together.states(), losses, strict=True)):
        alone, alone_loss = advance(states[number], data[number], hyperparameters, 30)
        assert_equal(after, alone)
        assert loss == alone_loss


@pytest.mark.parametrize("head", HEADS)
def test_it_stops_and_goes_on_to_the_bit(head: Head) -> None:
    states, data, hyperparameters = several(replace(SMALL, head=head), 3)
    whole = Ensemble(states, data, hyperparameters)
    losses = whole.advance(60)
    first = Ensemble(states, data, hyperparameters)
    halves = [first.advance(30)]
    second = Ensemble(first.states(), data, hyperparameters)
    halves.append(second.advance(30))
    for resumed, expected in zip(second.states(), whole.states(), strict=True):
        assert_equal(resumed, expected)
        assert resumed.step == 60
    np.testing.assert_allclose(np.mean(halves, axis=0), losses, rtol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_states_and_data_that_are_passed_in_stay_as_they_are(head: Head) -> None:
    begun, transitions, hyperparameters = start(replace(SMALL, head=head))
    begun, _ = advance(begun, transitions, hyperparameters, 5)  # moments that are not all zero
    before = replace(
        begun,
        parameters=begun.parameters.copy(),
        exp_avg=begun.exp_avg.copy(),
        exp_avg_sq=begun.exp_avg_sq.copy(),
        generator=(begun.generator[0], begun.generator[1].copy(), *begun.generator[2:]),
    )
    columns_before = [column.copy() for column in astuple(transitions)]
    ensemble = Ensemble([begun], [transitions], hyperparameters)
    ensemble.advance(20)
    assert_equal(begun, before)
    for column, expected in zip(astuple(transitions), columns_before, strict=True):
        np.testing.assert_array_equal(column, expected)
    (state,) = ensemble.states()
    parameters_before = state.parameters.copy()
    ensemble.advance(20)
    np.testing.assert_array_equal(state.parameters, parameters_before)
    assert not np.array_equal(ensemble.states()[0].parameters, parameters_before)


def test_the_global_generators_are_neither_used_nor_disturbed() -> None:
    begun, transitions, hyperparameters = start(SMALL)
    first, _ = advance(begun, transitions, hyperparameters, 10)
    d3rlpy.seed(99)
    undisturbed = np.random.random(3)  # noqa: NPY002
    d3rlpy.seed(99)
    second, _ = advance(begun, transitions, hyperparameters, 10)
    assert_equal(first, second)
    np.testing.assert_array_equal(np.random.random(3), undisturbed)  # noqa: NPY002


def test_a_network_that_diverged_leaves_the_others_alone() -> None:
    states, data, hyperparameters = several(SMALL, 3)
    broken = replace(states[1], parameters=np.full_like(states[1].parameters, np.nan))
    ensemble = Ensemble([states[0], broken, states[2]], data, hyperparameters)
    losses = ensemble.advance(5)
    assert np.isnan(losses).tolist() == [False, True, False]
    expected = Ensemble(states, data, hyperparameters)
    expected.advance(5)
    for number in (0, 2):
        assert_equal(ensemble.states()[number], expected.states()[number])


def test_networks_at_different_steps_are_refused() -> None:
    states, data, hyperparameters = several(SMALL, 2)
    with pytest.raises(ValueError, match="the same number of steps"):
        Ensemble([states[0], replace(states[1], step=1)], data, hyperparameters)
