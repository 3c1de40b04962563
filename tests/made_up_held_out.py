"""A comparison by held-out episodes that nobody ran."""

from typing import Any

import numpy as np
from made_up_comparison import make_comparison

from vip_offline.analysis.held_out import HeldOutArm, summarise_held_out
from vip_offline.analysis.offline.numbers import arm_numbers
from vip_offline.analysis.offline.steps import HeldOutSteps, reward_weights, thirds
from vip_offline.analysis.offline.summary import summarise_numbers
from vip_offline.report.html.held_out_page import HeldOutPage

ARMS = ("bc", "rwr-outcome", "rwr-outcome-permuted", "rwr-outcome-length", "bc-success")


def make_steps(successes: int = 2, failures: int = 1, length: int = 9) -> HeldOutSteps:
    """Held-out episodes whose actions and rewards are drawn at random."""
    generator, count = np.random.default_rng(1), successes + failures
    return HeldOutSteps(
        episode=np.repeat(np.arange(3, 3 + count), length),
        success=np.repeat(np.arange(count) < successes, length),
        phase=np.tile(thirds(length), count),
        action=generator.uniform(-1, 1, (count * length, 4)),
        reward_weight=reward_weights([generator.normal(size=length) for _ in range(count)]),
    )


def make_offline(names: tuple[str, ...], seeds: int, steps: HeldOutSteps) -> dict[str, Any]:
    """What `summarise_numbers` says of actions that are demonstrated ones and noise."""
    generator = np.random.default_rng(2)
    shape = (seeds, *steps.action.shape)
    numbers = {
        name: arm_numbers(steps.action + generator.normal(0, 0.1, shape), steps) for name in names
    }
    episodes = [(int(e), True, generator.uniform(0, 2, 9)) for e in np.unique(steps.episode)]
    return summarise_numbers(numbers, steps, ("x", "y", "z", "grip"), episodes)


def make_held_out(
    names: tuple[str, ...] = ARMS, seeds: int = 3, episodes: int = 2
) -> tuple[HeldOutPage, dict[str, Any]]:
    generator = np.random.default_rng(0)
    arms = [
        HeldOutArm(
            name, f"What {name} does.", generator.uniform(1, 1.2, (seeds, episodes)) / (1 + place)
        )
        for place, name in enumerate(names)
    ]
    comparison = make_comparison()
    summary = {
        "name": "your-arm",
        "encoder": "lite0",
        **summarise_held_out(arms, names[0], range(3, 3 + episodes), range(seeds)),
        "minutes": {"train": 1.25},
        "offline": make_offline(names, seeds, make_steps(episodes)),
    }
    page = HeldOutPage(
        store="datasets/demos.zarr",
        label="photo",
        goals=comparison.goals,
        demonstrations=comparison.demonstrations,
        recipe='[import]\nsource = "demos"\n',
        versions={"vip-offline": "0.1.0"},
    )
    return page, summary
