"""How fast policies are trained: one through d3rlpy's `fit`, and twenty at once.

``python -m benchmarks.train [--quick]``; inputs of 1,028 numbers, 7 actions, two hidden layers of
256, batches of 32, all sides in turns. Stock is d3rlpy's own behaviour cloning with its own replay
buffer and optimiser, on one thread, without log or progress bar. Last line: one JSON object with

- ``fit_vs_stock``: seconds of stock over those of RWR through the same public `fit`, with batches
  gathered by index and Adam in one kernel;
- ``twenty_vs_stock``: seconds of 20 stock runs over those of 20 policies trained together, as the
  `train` command does on one thread: one ensemble;
- ``twenty_vs_stock_2_cores``: the same as two ensembles of 10, each in a thread;
- ``ensemble_max_difference``: largest difference of any weight of the 20, after 100 steps, to as
  many separate networks of `torch.nn.Linear`, trained on the same batches by plain
  `torch.optim.Adam`; relative to the largest weight of the network. In double precision: in single
  precision the input of some ReLU lies within rounding of zero, and decides on a whole unit;
- ``limit_fraction``: of the limit's speed that the 20 reach on one thread. The limit is their
  multiplications at the rate of a 2,048^3 matrix product, and Adam where all fits the cache;
- ``kernels_fraction``: the same of the limit that arrays of this shape have: torch's own batched
  products into arrays that are there, and Adam, on 20 networks that no cache holds; nothing else.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from functools import partial
from typing import Any

import d3rlpy
import numpy as np
import torch
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory
from rich.table import Table
from torch import nn

from vip_offline.options import TrainOptions
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.training.algorithms.models import create
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.data.input_statistics import Statistics
from vip_offline.training.job import CHUNK_STEPS
from vip_offline.training.networks.ensemble import Transitions
from vip_offline.training.run import MOST_TOGETHER
from vip_offline.training.trainer import Regression, RegressionTrainer
from vip_offline.training.weighting.scores import weigh
from vip_offline.utils.console import Console

INPUTS, ACTIONS, EPISODES, LENGTH = 1028, 7, 20, 50
POLICIES = 20
OPTIONS = TrainOptions(tau=0.1, weight_by="step")  # Eq. 7, as the paper has it
GEMM = 2048


def made_up_data() -> TrainingSet:
    """Twenty demonstrations of noise: what is learnt does not matter to the speed."""
    generator = np.random.default_rng(0)
    observations = [
        generator.standard_normal((LENGTH, INPUTS), dtype=np.float32) for _ in range(EPISODES)
    ]
    rewards = [generator.standard_normal(LENGTH - 1) for _ in range(EPISODES)]
    rows = np.concatenate([observation[:-1] for observation in observations])
    return TrainingSet(
        observations=observations,
        actions=[
            generator.uniform(-1, 1, (LENGTH, ACTIONS)).astype(np.float32) for _ in range(EPISODES)
        ],
        weighed=weigh(rewards, observations, OPTIONS),
        statistics=Statistics(rows.mean(0), rows.std(0)),
        action_range=None,
        held_out=(),
        notes=(),
        manifest={},
        read={},
    )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def fit(algo: Any, buffer: d3rlpy.dataset.ReplayBuffer, steps: int) -> None:
    """Train by d3rlpy's public method."""
    algo.fit(
        buffer,
        n_steps=steps,
        n_steps_per_epoch=steps,
        logger_adapter=NoopAdapterFactory(),
        show_progress=False,
    )


def stock(data: TrainingSet) -> d3rlpy.algos.BC:
    """d3rlpy's own cloning, with its networks built."""
    algo = d3rlpy.algos.BCConfig(
        batch_size=OPTIONS.batch_size,
        encoder_factory=VectorEncoderFactory(list(OPTIONS.hidden)),
        observation_scaler=create(data, OPTIONS).config.observation_scaler,
    ).create()
    algo.create_impl((INPUTS,), ACTIONS)
    return algo


def twenty(data: TrainingSet, threads: int) -> list[RegressionTrainer]:
    """Twenty policies, each with a seed of its own, in ensembles as `train_all` forms them."""
    policies = [Regression(data, replace(OPTIONS, seed=seed)) for seed in range(POLICIES)]
    size = min(MOST_TOGETHER, -(-POLICIES // threads))
    starts = range(0, POLICIES, size)
    return [RegressionTrainer(policies[start : start + size]) for start in starts]


def separate(policy: Regression, steps: int) -> torch.Tensor:
    """A policy's weights, trained by torch's own layers and optimiser on the same batches."""
    widths, state = policy.hyperparameters.widths, policy.state
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1], nn.Tanh()).double()
    nn.utils.vector_to_parameters(torch.from_numpy(state.parameters.copy()), network.parameters())
    optimizer = torch.optim.Adam(network.parameters(), lr=policy.hyperparameters.learning_rate)
    generator = np.random.RandomState()
    generator.set_state(state.generator)
    observation, action, weight = (
        torch.from_numpy(column) for column in astuple(policy.transitions)
    )
    for _ in range(steps):
        rows = generator.randint(len(weight), size=policy.hyperparameters.batch_size)
        loss = (weight[rows] * (network(observation[rows]) - action[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def largest_difference(data: TrainingSet, steps: int) -> float:
    """Between the weights of the twenty and of as many separate networks, relative."""
    policies = [Regression(data, replace(OPTIONS, seed=seed)) for seed in range(POLICIES)]
    transitions = Transitions(*(column.astype(np.float64) for column in astuple(data.transitions)))
    for policy in policies:
        policy.state = replace(
            policy.state,
            parameters=policy.state.parameters.astype(np.float64),
            exp_avg=policy.state.exp_avg.astype(np.float64),
            exp_avg_sq=policy.state.exp_avg_sq.astype(np.float64),
        )
        policy.transitions = transitions
    expected = [separate(policy, steps) for policy in policies]
    RegressionTrainer(policies).advance(steps)
    differences = [
        (torch.from_numpy(policy.state.parameters) - weights).abs().max() / weights.abs().max()
        for policy, weights in zip(policies, expected, strict=True)
    ]
    return float(max(differences))


def advance(
    map_: Callable[..., Iterable[object]], trainers: Sequence[RegressionTrainer], steps: int
) -> None:
    """In chunks, one after the other or at once."""

    def train(trainer: RegressionTrainer) -> None:
        for _ in range(steps // CHUNK_STEPS):
            trainer.advance(CHUNK_STEPS)

    list(map_(train, trainers))


def limit_per_step() -> tuple[float, float]:
    """Seconds of multiplying, and of Adam, that a step takes at least."""
    left, out = torch.randn(GEMM, GEMM), torch.empty(GEMM, GEMM)
    torch.mm(left, left, out=out)
    gemm = min(seconds(lambda: torch.mm(left, left, out=out)) for _ in range(5))
    widths = (INPUTS, *OPTIONS.hidden, ACTIONS)
    products = sum(before * after for before, after in itertools.pairwise(widths))
    # forward, gradient of the weights, and of the layer's input but for the first
    flop = 2 * OPTIONS.batch_size * (3 * products - widths[0] * widths[1])
    parameters = products + sum(widths[1:])
    count = 32_768  # parameters that fit a core's cache with their moments and gradient
    # less the call itself, which 20 policies share
    per_parameter = (seconds_of_adam(count) - seconds_of_adam(1)) / count
    return flop / (2 * GEMM**3 / gemm), parameters * per_parameter


def kernels_per_step(steps: int) -> float:
    """Seconds of a step's batched products and of Adam, alone, on the arrays of 20 networks."""
    widths = (INPUTS, *OPTIONS.hidden, ACTIONS)
    batch = [torch.randn(POLICIES, OPTIONS.batch_size, width) for width in widths]
    upstream = [torch.randn_like(activation) for activation in batch]
    matrices = [
        nn.Parameter(torch.randn(POLICIES, before, after) / before)
        for before, after in itertools.pairwise(widths)
    ]
    for matrix in matrices:
        matrix.grad = torch.zeros_like(matrix)
    optimizer = torch.optim.Adam(matrices, fused=True)

    def work() -> None:
        with torch.no_grad():
            for _ in range(steps):
                for layer, matrix in enumerate(matrices):
                    torch.bmm(batch[layer], matrix, out=batch[layer + 1])
                for layer in reversed(range(len(matrices))):
                    matrix, above = matrices[layer], upstream[layer + 1]
                    torch.bmm(batch[layer].mT, above, out=matrix.grad)
                    if layer:
                        torch.bmm(above, matrix.mT, out=upstream[layer])
                optimizer.step()

    work()
    return seconds(work) / steps


def seconds_of_adam(count: int) -> float:
    """Of one update of so many parameters."""
    parameter = nn.Parameter(torch.rand(count))
    parameter.grad = torch.rand(count)
    optimizer = torch.optim.Adam([parameter], fused=True)

    def update() -> None:
        for _ in range(100):
            optimizer.step()

    update()
    return min(seconds(update) for _ in range(5)) / 100


def main() -> None:
    """Measure, print a table, and the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, within 50 seconds")
    quick = parser.parse_args().quick
    steps, rounds = (100, 2) if quick else (500, 5)
    quiet_d3rlpy()
    torch.set_num_threads(1)
    data, console = made_up_data(), Console(width=80)
    own_buffer = d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=vector_buffer(data.observations, data.actions, data.weighed.slot).episodes,
        action_space=d3rlpy.constants.ActionSpace.CONTINUOUS,
        action_size=ACTIONS,
    )
    vector = vector_buffer(data.observations, data.actions, data.weighed.slot)
    cloning, regression = stock(data), create(data, OPTIONS)
    fit(cloning, own_buffer, 50)
    fit(regression, vector, 50)
    turns: dict[str, list[float]] = {"stock": [], "fit": [], "one": [], "two": []}
    turns |= {"kernels": [], "limit": []}
    pool = ThreadPoolExecutor(2, initializer=partial(torch.set_num_threads, 1))
    advance(pool.map, twenty(data, 2), CHUNK_STEPS)
    difference = largest_difference(data, 100)
    multiplying, adam = 0.0, 0.0
    for _ in range(rounds):
        # 20 runs one after the other, as d3rlpy has them
        turns["stock"].append(
            sum(seconds(lambda: fit(cloning, own_buffer, steps)) for _ in range(POLICIES))
        )
        # as many steps of one policy through `fit`
        turns["fit"].append(
            sum(seconds(lambda: fit(regression, vector, steps)) for _ in range(POLICIES))
        )
        turns["one"].append(seconds(partial(advance, map, twenty(data, 1), steps)))
        turns["two"].append(seconds(partial(advance, pool.map, twenty(data, 2), steps)))
        turns["kernels"].append(kernels_per_step(CHUNK_STEPS) * steps)
        multiplying, adam = limit_per_step()
        turns["limit"].append((multiplying + adam) * POLICIES * steps)
    table = Table(title=f"{POLICIES} policies, {steps} steps each, {rounds} turns")
    for heading in ("side", "ms a policy-step, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    sides = {
        "stock": "d3rlpy's BC, stock",
        "fit": "RWR through d3rlpy's fit",
        "one": "twenty together, one thread",
        "two": "twenty together, two threads",
        "kernels": "torch's kernels alone, one thread",
        "limit": "limit, one thread",
    }
    unit = POLICIES * steps / 1e3
    for key, name in sides.items():
        values = np.array(turns[key]) / unit
        table.add_row(name, *(f"{f(values):.3f}" for f in (np.median, np.min, np.max)))
    console.print(table)
    console.print(
        f"limit: multiplying {multiplying * 1e3:.3f} ms, Adam {adam * 1e3:.3f} ms a step",
        highlight=False,
    )
    baseline = np.array(turns["stock"])
    result = {
        "fit_vs_stock": round(float(np.median(baseline / turns["fit"])), 2),
        "twenty_vs_stock": round(float(np.median(baseline / turns["one"])), 2),
        "twenty_vs_stock_2_cores": round(float(np.median(baseline / turns["two"])), 2),
        "ensemble_max_difference": float(f"{difference:.2g}"),
        "limit_fraction": round(float(np.median(np.array(turns["limit"]) / turns["one"])), 3),
        "kernels_fraction": round(float(np.median(np.array(turns["kernels"]) / turns["one"])), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
