"""Which episodes of a store a policy learns from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.options.fields import OptionError
from vip_offline.training.data.episode_list import listed_episodes
from vip_offline.training.weighting.episode_outcomes import best_share, controlled, outcome


def outcomes_of(store: Store, path: Path, options: TrainOptions) -> list[float]:
    """The outcome of every episode, where something is chosen or weighed by it; else nothing.

    Raises:
        VipOfflineError: if the distances at the end are not to one goal.
    """
    by_outcome = options.algo == "rwr" and options.weighs_by == "outcome"
    if options.keep_best == 1 and not by_outcome:
        return []
    label = store.label(options.label)
    asked = "--weight-by outcome" if by_outcome else "--keep-best"
    if label.goal is not None and len(label.goal) > 1:
        raise VipOfflineError(
            f"{path}: label {label.name!r} has {len(label.goal)} stages, so episodes end at "
            f"distances to different goals, and {asked} compares those. Label again with the last "
            "goal alone, or use --weight-by return."
        )
    ends = [outcome(label.distance[start:stop]) for start, stop in store.spans()]
    if not np.isfinite(ends).all():
        episode = int(np.argmin(np.isfinite(ends)))
        raise VipOfflineError(
            f"{path}, episode {episode}: its last distance to the goal is {-ends[episode]} in "
            f"label {label.name!r}. Run `vip-offline relabel {path} --overwrite`."
        )
    if len(ends) > 1 and np.ptp(ends) == 0:
        raise VipOfflineError(
            f"{path}: all {len(ends)} episodes end at the same distance to the goal "
            f"({-ends[0]:g}) in label {label.name!r}, so {asked} tells none from another. Label "
            "with a goal that they share, as --goal successes, or use --algo bc."
        )
    return ends


def choose_episodes(
    store: Store, path: Path, outcomes: Sequence[float], options: TrainOptions
) -> tuple[list[int], list[int]]:
    """The episodes to learn from, and those kept back: the same for every seed and algorithm."""
    success = store.meta("success")
    successes = [index for index in range(len(store)) if success[index]]
    if options.hold_out >= max(1, len(successes)) and options.hold_out > 0:
        raise OptionError(
            TrainOptions,
            "hold_out",
            options.hold_out,
            f"the store has {len(successes)} successful episodes, and at least one must be left to "
            "learn from.",
        )
    named = listed_episodes(store, path, options.episodes) if options.episodes else None
    drawn = np.random.default_rng(0).permutation(successes)[: options.hold_out]
    failures = [index for index in range(len(store)) if not success[index]]
    if options.hold_out_failures > len(failures):
        raise OptionError(
            TrainOptions,
            "hold_out_failures",
            options.hold_out_failures,
            f"the store has {len(failures)} failed episodes.",
        )
    # a stream of its own: the successes drawn are the same with failures and without
    failed = np.random.default_rng(1).permutation(failures)[: options.hold_out_failures]
    kept_back = sorted(int(index) for index in (*drawn, *failed))
    pool = successes if options.only_successes else range(len(store))
    chosen = [index for index in pool if index not in kept_back]
    if named is not None:
        chosen = [index for index in chosen if index in named]
        if not chosen:
            raise VipOfflineError(
                f"--episodes {options.episodes}: none of the {len(named)} named episodes of {path} "
                "is left: --only-successes and --hold-out leave out the others. Name more."
            )
    if not chosen:
        raise VipOfflineError(f"{path}: no episode succeeded, so none is left to train on.")
    if options.keep_best < 1:
        spans = store.spans()
        lengths = [spans[index][1] - spans[index][0] - 1 for index in chosen]
        ends = [outcomes[index] for index in chosen]
        best = best_share(
            controlled(ends, lengths, options.control, options.seed), options.keep_best
        )
        chosen = [chosen[place] for place in best]
    return chosen, kept_back


def choice_notes(
    options: TrainOptions, chosen: Sequence[int], kept_back: Sequence[int], episodes: int
) -> list[str]:
    """What the user should know of the choice, among so many episodes of the store."""
    notes = []
    if options.episodes:
        notes.append(f"episodes: {len(chosen)} of {episodes}, by --episodes {options.episodes}")
    if options.keep_best < 1:
        how = {"permuted": "drawn at random", "length": "the shortest"}
        what = how.get(options.control, "the best by outcome")
        notes.append(
            f"keep-best: {len(chosen)} of {episodes} episodes, {what}: "
            f"{', '.join(str(index) for index in chosen)}"
        )
    if kept_back:
        notes.append(f"held out: episodes {', '.join(str(index) for index in kept_back)}")
    return notes
