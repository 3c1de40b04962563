"""Few-shot offline RL from a camera, a goal image and twenty demonstrations.

    from vip_offline import RelabelOptions, TrainOptions, load_policy, open_store, relabel, train

    relabel("demos.zarr", RelabelOptions(encoder="lite0"))
    folder, *_ = train("demos.zarr", TrainOptions(steps=5000))
    policy = load_policy(folder)
    action = policy.act({"frame/corner": frame, "proprio": proprio})

These names are loaded when they are first used, since imports take time. Each folder of the
package imports only from those below it; the order is in CONTRIBUTING.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vip_offline.api import load_policy, open_store, relabel, train
    from vip_offline.options import RelabelOptions, TrainOptions

__version__ = "0.1.0"
__all__ = [
    "RelabelOptions",
    "TrainOptions",
    "load_policy",
    "open_store",
    "relabel",
    "train",
]


def __getattr__(name: str) -> object:
    """Load an exported name on its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "options" if name.endswith("Options") else "api"
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    """Names for completion, those not loaded yet among them."""
    return sorted({*globals(), *__all__})
