"""A comparison by held-out episodes that nobody ran."""

from typing import Any

import numpy as np
from made_up_comparison import make_comparison

from vip_offline.analysis.held_out import HeldOutArm, summarise_held_out
from vip_offline.report.html.held_out_page import HeldOutPage

ARMS = ("bc", "rwr-outcome", "rwr-outcome-permuted", "rwr-outcome-length", "bc-success")


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
