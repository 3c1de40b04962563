"""Which episodes to train on, by the reward: judged, and written as lists that train reads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vip_offline.analysis.curation.curate import curation_of
from vip_offline.analysis.curation.results import Curation
from vip_offline.dataset.store import open_store
from vip_offline.experiments.episode_lists import KEEP, RANDOM, SHORTEST, write_lists
from vip_offline.experiments.recipes.preflight import never_simulated
from vip_offline.experiments.recipes.run_recipe import compare_recipe
from vip_offline.experiments.trim import check_trim, trim_stage
from vip_offline.options import (
    CompareOptions,
    Recipe,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.options.curate import CurateOptions
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.report.html.curation_page import write_curation_page
from vip_offline.utils.console import Bar
from vip_offline.utils.files import require_writable

PAGE = "curation.html"
HELD_OUT = 3  # successes by which a proof compares where there is no simulator


def curate_stage(
    path: Path, options: CurateOptions, out: Path, bar: Bar
) -> tuple[Curation, list[str]]:
    """Rank the episodes of a store; write the page, those to keep and two controls of as many.

    Returns:
        What was found, and lines on what was written.

    Raises:
        VipOfflineError: if there is no such labelling, its stages have different goals, or nothing
            would be kept.
    """
    check_ranges(options)
    if options.trim:
        check_trim(path, Path(options.trim))
    require_writable(out)
    store = open_store(path)
    with bar("look at frames", 0, "frame") as advance:
        curation = curation_of(store, options.label, options.least, advance)
    if not curation.kept:
        best = curation.ranked[0].covered
        raise OptionError(
            CurateOptions,
            "least",
            options.least,
            f"drops all {len(store)} episodes of {path}; the best covers {best:.2f} of the way.",
        )
    files, notes = write_lists(store, curation, out)
    write_curation_page(curation, out / PAGE)
    lines = [f"note: {note}" for note in (*curation.notes, *notes)]
    lines += [f"-> {out / name}" for name in (PAGE, *files)]
    if options.trim:
        lines += trim_stage(store, Path(options.trim), options.margin, bar)
    return curation, lines


def proof_recipe(
    path: Path,
    out: Path,
    compare: CompareOptions,
    train: TrainOptions,
    rollout: RolloutOptions,
    say: Callable[[str], None] = lambda line: None,
) -> Recipe:
    """The comparison that shows whether the choice helps: cloning of all, and of each list.

    Where no simulator has the task it is one by held-out episodes, which is said.

    Raises:
        VipOfflineError: see `compare_recipe`.
    """
    lists = {Path(name).stem: out / name for name in (KEEP, RANDOM, SHORTEST)}
    arms = ("bc", *(f"bc@list={name}" for name in lists), "bc-success")
    named = tuple(f"{name}={file}" for name, file in lists.items())
    obstacle = never_simulated(open_store(path))
    compared = replace(compare, arms=arms, lists=named, offline=bool(obstacle))
    if obstacle:
        train = replace(train, hold_out=train.hold_out or HELD_OUT)
        say(
            f"note: prove: {path}: {obstacle}, so no policy is rolled out. They are compared by "
            f"their action error on {train.hold_out} successes held out of every list "
            "(--hold-out). That says how well they imitate, and favours those who learn from all."
        )
    return compare_recipe(path, out / "proof", compared, train, rollout, "")
