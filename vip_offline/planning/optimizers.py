"""The optimiser that options ask for, behind one signature."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from vip_offline.options import SearchOptions
from vip_offline.planning.cem import cem
from vip_offline.planning.mppi import mppi
from vip_offline.planning.sequences import Plan, Score
from vip_offline.utils.arrays import Floats

# (score, (H, A) plan to start from, generator of the noise) -> plan
Optimizer = Callable[[Score, Floats, np.random.Generator], Plan]

# what each takes of the options beside those that all take
OPTIMIZERS: dict[str, tuple[Callable[..., Plan], tuple[str, ...]]] = {
    "mppi": (mppi, ("kappa", "kappa_by_spread")),
    "cem": (cem, ("elites",)),
}


def optimizer_of(options: SearchOptions) -> Optimizer:
    """The optimiser, with all but its three arguments set.

    Raises:
        OptionError: on a value out of its range.
    """
    options.check()
    optimize, own = OPTIMIZERS[options.optimizer]
    settings: dict[str, Any] = {name: getattr(options, name) for name in own}
    return partial(
        optimize,
        sequences=options.sequences,
        iterations=options.iterations,
        sigma=options.sigma,
        coefficients=options.filter,
        **settings,
    )
