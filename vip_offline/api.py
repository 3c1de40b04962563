"""The library in four functions, which `vip_offline` itself exports.

    from vip_offline import RelabelOptions, TrainOptions, load_policy, open_store, relabel, train

    relabel("demos.zarr", RelabelOptions(encoder="lite0"))
    folder, *_ = train("demos.zarr", TrainOptions(steps=5000))
    policy = load_policy(folder)
    action = policy.act({"frame/corner": frame, "proprio": proprio})

They do what the commands of these names do, and write to the same places. Each imports what it
needs when it is called: torch takes seconds.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vip_offline.options import CompareOptions, Device, Recipe, RelabelOptions, TrainOptions

if TYPE_CHECKING:
    from vip_offline.dataset.labels import Label
    from vip_offline.dataset.store import Store
    from vip_offline.policies.runtime import LoadedPolicy
    from vip_offline.utils.console import Advance


def _silent(line: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def _no_bar(description: str, total: int, unit: str) -> "Iterator[Advance]":
    def advance(amount: int = 0, total: int | None = None) -> None:
        """Show nothing."""

    yield advance


def open_store(path: Path | str) -> "Store":
    """Open a store of demonstrations for reading.

    Args:
        path: folder, such as ``datasets/drawer-close.zarr``.

    Returns:
        The store. Its arrays have one row per time step, such as ``data("action")``,
        ``frames("corner", start, stop)`` and those of ``label()``; ``spans()`` are the episodes'
        rows.

    Raises:
        VipOfflineError: if there is none, it is not one, or a newer version wrote it.
    """
    from vip_offline.dataset import store

    return store.open_store(Path(path))


def relabel(
    store: Path | str,
    options: RelabelOptions = RelabelOptions(),  # noqa: B008 (it is frozen)
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = _silent,
) -> "Label":
    """Write the reward of every transition: how much closer it came to the goal (Eq. 1).

    Args:
        store: folder of the store; the labelling is written into it.
        options: encoder, goal, reward function.
        overwrite: replace a labelling of this name that was made otherwise.
        say: called with lines about what was done.

    Returns:
        The labelling, with `reward` and `distance`, float32 of shape (N,).

    Raises:
        VipOfflineError: if the store, the encoder or a goal cannot be had, or a labelling of this
            name is another one.
    """
    from vip_offline.experiments.stages import relabel_stage

    recipe = Recipe(store=str(store), relabel=options)
    say(relabel_stage(recipe, _no_bar, say, overwrite=overwrite))
    return open_store(store).label(options.name or options.encoder)


def train(
    store: Path | str,
    options: TrainOptions = TrainOptions(),  # noqa: B008 (it is frozen)
    *,
    out: Path | str | None = None,
    seeds: int = 1,
    processes: int = CompareOptions.processes,
    device: Device = "cpu",
    weights: Path | str = "",
    say: Callable[[str], None] = _silent,
) -> list[Path]:
    """Train policies by weighted regression (Eq. 7) or a relative of it.

    Policies that are there already, of the same data and options, are not trained again.

    Args:
        store: folder of a labelled store.
        options: algorithm, temperature, steps; `options.seed` is the seed of the first policy.
        out: output folder; of several seeds the one above theirs. None:
            ``runs/<store>/<settings>``, as by the command.
        seeds: number of policies.
        processes: training processes, one thread each.
        device: to train rwr and bc on; other algorithms use the CPU.
        weights: checkpoint file of the labelling's encoder, if it ships without.
        say: called with lines about weights, data and what is missing.

    Returns:
        The policy folders, in the order of seeds; see `load_policy`.

    Raises:
        VipOfflineError: if an option, the store or the labelling cannot be used, or training
            diverges.
    """
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.deployment.export import ship_if_possible
    from vip_offline.experiments.train import train_stage

    training = CompareOptions(seeds=seeds, processes=processes, device=device)
    path, folder = Path(store), None if out is None else Path(out)
    folders = train_stage(path, options, training, _no_bar, say, folder, str(weights))
    for policy in folders:
        ship_if_possible(policy, str(weights), say)
    return folders


def load_policy(folder: Path | str, *, weights: Path | str = "") -> "LoadedPolicy":
    """Load a policy folder, for a robot or a simulator; needs neither its store nor d3rlpy.

    Args:
        folder: as training wrote it.
        weights: checkpoint file of the encoder, for a folder that does not hold it.

    Returns:
        The policy. Its ``act`` takes an observation and gives the action, float32 of shape (A,)
        in the units of the store. An observation has the keys ``frame/<camera>``, uint8 RGB of
        shape (H, W, 3), and ``proprio``, float32 of shape (P,).

    Raises:
        VipOfflineError: if a file is missing, was changed, or is of another encoder.
    """
    from vip_offline.policies import runtime

    return runtime.load_policy(folder, weights=Path(weights) if weights else None)
