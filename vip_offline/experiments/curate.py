"""Which episodes to train on, by the reward: judged, and written as lists that train reads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.analysis.analyze import analyse
from vip_offline.analysis.curation.ranking import Ranked, rank
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.validation.idle import idle_of
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.run_recipe import compare_recipe
from vip_offline.options import (
    AnalyzeOptions,
    CompareOptions,
    Recipe,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.options.curate import CurateOptions
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.training.data.episode_list import lengths_of
from vip_offline.utils.console import Bar
from vip_offline.utils.files import require_writable, write_json

KEEP, RANDOM, SHORTEST = "keep.json", "random.json", "shortest.json"
DRAW_SEED = 0  # of the control that drops as many at random


def curate_stage(path: Path, options: CurateOptions, out: Path, bar: Bar) -> list[Ranked]:
    """Rank the episodes of a store, and write those to keep beside two controls of as many.

    Raises:
        VipOfflineError: if there is no such labelling, its stages have different goals, or nothing
            would be kept.
    """
    check_ranges(options)
    store = open_store(path)
    label = store.label(options.label)
    if label.goal is not None and len(label.goal) > 1:
        raise VipOfflineError(
            f"{path}: label {label.name!r} has {len(label.goal)} stages, so episodes end at "
            "distances to different goals. Label again with the last goal alone."
        )
    require_writable(out)
    with bar("look at frames", 0, "frame") as advance:
        analysis = analyse(path, AnalyzeOptions(labels=(label.name,)), advance)
    flags = [
        [f"{flag.kind}: {flag.value}" for flag in episode.flags] for episode in analysis.episodes
    ]
    proprio, action = store.data("proprio"), store.data("action")
    idle = [
        idle_of(f"episode {index}", proprio[start:stop], action[start:stop])
        for index, (start, stop) in enumerate(store.spans())
    ]
    ranked = rank(
        analysis.labellings[0].distances,
        [(episode.start, episode.end) for episode in idle],
        flags,
        options.least,
    )
    kept = sorted(episode.episode for episode in ranked if episode.keep)
    if not kept:
        best = ranked[0].covered
        raise OptionError(
            CurateOptions,
            "least",
            options.least,
            f"drops all {len(store)} episodes of {path}; the best covers {best:.2f} of the way.",
        )
    reasons = {str(episode.episode): list(episode.reasons) for episode in ranked}
    of_reward = {"label": label.name, "least": options.least, "reasons": reasons}
    write_json({**_list(store, kept), **of_reward}, out / KEEP)
    drawn = np.random.default_rng(DRAW_SEED).permutation(len(store))[: len(kept)]
    write_json(_list(store, sorted(drawn.tolist())), out / RANDOM)
    shortest = np.argsort(lengths_of(store), kind="stable")[: len(kept)]
    write_json(_list(store, sorted(shortest.tolist())), out / SHORTEST)
    return ranked


def proof_recipe(
    path: Path, out: Path, compare: CompareOptions, train: TrainOptions, rollout: RolloutOptions
) -> Recipe:
    """The comparison that shows whether the choice helps: cloning of all, and of each list.

    Raises:
        VipOfflineError: see `compare_recipe`.
    """
    lists = {Path(name).stem: out / name for name in (KEEP, RANDOM, SHORTEST)}
    arms = ("bc", *(f"bc@list={name}" for name in lists), "bc-success")
    named = tuple(f"{name}={file}" for name, file in lists.items())
    compared = replace(compare, arms=arms, lists=named)
    return compare_recipe(path, out / "proof", compared, train, rollout, "")


def _list(store: Store, kept: list[int]) -> dict[str, Any]:
    dropped = sorted(set(range(len(store))) - set(kept))
    return {
        "keep": kept,
        "drop": dropped,
        "episodes": len(store),
        "lengths": lengths_of(store),
    }
