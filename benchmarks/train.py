"""How fast policies are trained: one through d3rlpy's `fit`, and twenty at once.

``python -m benchmarks.train [--quick]``; inputs of 1,028 numbers, 7 actions, two hidden layers of
256, batches of 32, all sides in turns. Stock is d3rlpy's own behaviour cloning with its own replay
buffer and optimiser, on one thread, without log or progress bar. Last line: one JSON object with

- ``fit_vs_stock``: seconds of stock over those of RWR through the same public `fit`, with batches
  gathered by index and Adam in one kernel;
- ``twenty_vs_stock``: seconds of 20 stock runs over those of 20 policies trained together, one
  thread;
- ``twenty_vs_stock_2_cores``: the same with two side processes, which are there already: starting
  them is once, and a row of its own;
- ``twenty_max_difference``: largest absolute difference of any weight of the 20 after 100 steps to
  the same policy trained alone by d3rlpy's `fit`;
- ``limit_fraction``: of the limit's speed that the 20 reach on one thread. The limit is their
  multiplications at the rate of a 2,048^3 matrix product, and Adam where all fits the cache.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import torch
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory
from rich.table import Table
from vip_offline.training.workers import Crew

from vip_offline.recipe import TrainOptions
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.training.algorithms.models import create
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.data.input_statistics import Statistics
from vip_offline.training.trainer import Regression
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
    rows = np.concatenate([each[:-1] for each in observations])
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


def twenty(data: TrainingSet) -> list[Regression]:
    """Twenty policies, each with a seed of its own."""
    return [Regression(data, replace(OPTIONS, seed=seed)) for seed in range(POLICIES)]


def weights_of(algo: Any) -> torch.Tensor:
    """All of a policy's, as one vector."""
    return torch.cat([each.detach().flatten() for each in algo.impl.policy.parameters()])


def largest_difference(data: TrainingSet, crew: Crew, steps: int) -> float:
    """Between the twenty and each of them alone."""
    together = twenty(data)
    futures = [crew.advance(t.state, data.columns, t.settings, steps) for t in together]
    differences = []
    for seed, (training, future) in enumerate(zip(together, futures, strict=True)):
        training.state, _ = future.result()
        buffer = vector_buffer(data.observations, data.actions, data.weighed.slot)
        alone = create(data, replace(OPTIONS, seed=seed))  # seeds, after d3rlpy drew for the buffer
        buffer.sample_transition()  # as `fit` does when it builds the networks itself
        fit(alone, buffer, steps)
        offset = weights_of(training.finish()) - weights_of(alone)
        differences.append(float(offset.abs().max()))
    return max(differences)


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
    some = 32_768  # parameters that fit a core's cache with their moments and gradient
    parameter, gradient, exp_avg, exp_avg_sq = (torch.rand(some) for _ in range(4))

    def adam() -> None:
        for _ in range(100):
            torch._fused_adam_(
                [parameter],
                [gradient],
                [exp_avg],
                [exp_avg_sq],
                [],
                [torch.tensor(1.0)],
                lr=1e-3,
                beta1=0.9,
                beta2=0.999,
                weight_decay=0.0,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    adam()
    per_parameter = min(seconds(adam) for _ in range(5)) / 100 / some
    return flop / (2 * GEMM**3 / gemm), parameters * per_parameter


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
    turns: dict[str, list[float]] = {"stock": [], "fit": [], "one": [], "two": [], "limit": []}
    with tempfile.TemporaryDirectory() as folder, Crew(2, Path(folder)) as crew:
        first = twenty(data)

        def one_by_one(policies: list[Regression], count: int) -> None:
            for policy in policies:
                policy.advance(count)

        def together(policies: list[Regression], count: int) -> None:
            futures = [crew.advance(t.state, data.columns, t.settings, count) for t in policies]
            for future in futures:
                future.result()

        start = seconds(lambda: together(first[:2], 1))
        together(first, 10)
        difference = largest_difference(data, crew, 100)
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
            turns["one"].append(seconds(partial(one_by_one, twenty(data), steps)))
            turns["two"].append(seconds(partial(together, twenty(data), steps)))
            multiplying, adam = limit_per_step()
            turns["limit"].append((multiplying + adam) * POLICIES * steps)
    table = Table(title=f"{POLICIES} policies, {steps} steps each, {rounds} turns")
    for heading in ("side", "ms a policy-step, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    sides = {
        "stock": "d3rlpy's BC, stock",
        "fit": "RWR through d3rlpy's fit",
        "one": "twenty together, one thread",
        "two": "twenty together, two processes",
        "limit": "limit, one thread",
    }
    unit = POLICIES * steps / 1e3
    for key, name in sides.items():
        values = np.array(turns[key]) / unit
        table.add_row(name, *(f"{f(values):.3f}" for f in (np.median, np.min, np.max)))
    console.print(table)
    console.print(
        f"limit: multiplying {multiplying * 1e3:.3f} ms, Adam {adam * 1e3:.3f} ms a step; two "
        f"processes start in {start:.1f} s, once",
        highlight=False,
    )
    baseline = np.array(turns["stock"])
    result = {
        "fit_vs_stock": round(float(np.median(baseline / turns["fit"])), 2),
        "twenty_vs_stock": round(float(np.median(baseline / turns["one"])), 2),
        "twenty_vs_stock_2_cores": round(float(np.median(baseline / turns["two"])), 2),
        "twenty_max_difference": float(f"{difference:.2g}"),
        "limit_fraction": round(float(np.median(np.array(turns["limit"]) / turns["one"])), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
