"""What to train where the user says neither an algorithm nor weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vip_offline.dataset.store import open_store
from vip_offline.options import TrainOptions
from vip_offline.training.data.episode_list import listed_episodes


def suited(path: Path, options: TrainOptions) -> tuple[TrainOptions, str]:
    """Options that suit the data, and why they are not the usual ones; "" where they are.

    Weights by outcome need failures to turn away from, and ends that can be compared. Among
    successes alone they were seen to do nothing or harm (recipes/policies-push.toml).

    Args:
        path: of the store.
        options: without an algorithm, temperature or weighting of the user's.

    Raises:
        VipOfflineError: if there is no such store or labelling.
    """
    store = open_store(path)
    if options.keep_best < 1:
        return replace(options, algo="bc"), "the best episodes are cloned, each alike (--algo bc)"
    success = store.meta("success").astype(bool)
    if options.episodes:
        success = success[listed_episodes(store, path, options.episodes)]
    if options.only_successes or success.all():
        count = int(success.sum())
        return (
            replace(options, algo="bc"),
            f"none of {count} episodes failed, so all count alike (--algo bc; weights: --algo rwr)",
        )
    label = store.label(options.label)
    stages = label.goal is not None and len(label.goal) > 1
    if stages or np.ptp([label.distance[stop - 1] for _, stop in store.spans()]) == 0:
        return (
            replace(options, weight_by="return"),
            f"episodes of label {label.name!r} end at different goals, so weights are by the "
            "rewards that follow (--weight-by return), not by outcome",
        )
    return options, ""
