"""Training of policies on one store, from the checks to the folders."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from vip_offline.dataset.store import open_store
from vip_offline.encoders.backends import check_device
from vip_offline.experiments.recipes.preflight import check_weights
from vip_offline.experiments.stages import cameras_stage, check_stage
from vip_offline.options import CompareOptions, TrainOptions
from vip_offline.options.fields import check_ranges
from vip_offline.report.terminal.weights import weight_lines
from vip_offline.training.data.dataset import TrainingSet, check_options
from vip_offline.training.data.default_weighting import suited
from vip_offline.training.data.episode_list import with_numbers
from vip_offline.training.job import TrainJob
from vip_offline.training.run import seeded, train_all
from vip_offline.utils.console import Bar

LONGEST = 24  # characters of a list of episodes that names a folder; longer ones are hashed


def train_stage(
    path: Path,
    options: TrainOptions,
    training: CompareOptions,
    bar: Bar,
    say: Callable[[str], None],
    out: Path | None = None,
    weights: str = "",
    *,
    suit_data: bool = False,
) -> list[Path]:
    """Train one policy per seed; those that are there already are not trained again.

    Args:
        path: of a labelled store.
        options: of each policy; its seed is that of the first.
        training: number of seeds and of processes; its arms are not looked at.
        bar: of progress.
        say: called with lines about the store, the weights and the data.
        out: output folder, of several policies the one above theirs; None: `default_folder`.
        weights: checkpoint file of the labelling's encoder.
        suit_data: choose an algorithm that suits the data, see `suited`.

    Returns:
        The policy folders, in the order of seeds.

    Raises:
        VipOfflineError: if an option is wrong; see `train_all`.
    """
    check_options(options)
    check_ranges(training)
    check_device(training.device)
    check_stage(path, bar, say)
    options = with_numbers(open_store(path), path, options)
    if suit_data:
        options, why = suited(path, options)
        if why:
            say(f"note: {why}")
    alone = out is not None and training.seeds == 1
    folder = out or default_folder(path, options)
    jobs = [
        TrainJob(path, arm, folder if alone else folder / f"seed-{arm.seed}")
        for arm in seeded(options, training.seeds)
    ]

    def on_data(data: TrainingSet) -> None:
        for line in (*weight_lines(data.weighed.summary, options.target_ess), *data.notes):
            say(line)

    if weights and options.algo != "scratch-bc":
        check_weights(open_store(path), options.label, weights)
    cameras_stage(path, options, weights, bar, say)
    seeds = f"{training.seeds} seeds" if training.seeds > 1 else f"seed {options.seed}"
    with bar(f"train, {seeds}", options.steps * training.seeds, "step") as advance:
        train_all(jobs, training.processes, advance, on_data, say, training.device)
    return [job.out for job in jobs]


def default_folder(path: Path, options: TrainOptions) -> Path:
    """Folder above the policies of a store, such as ``runs/push/rwr-outcome-tau-auto``."""
    by = f"{options.n_steps}-step" if options.weighs_by == "n-step" else options.weighs_by
    tau = str(options.tau).removesuffix(".0")
    settings = f"{options.algo}-{by}-tau-{tau}" if options.algo == "rwr" else options.algo
    settings += f"-best-{options.keep_best:g}" if options.keep_best < 1 else ""
    if options.episodes:
        numbers = options.episodes
        short = len(numbers) <= LONGEST
        known = numbers if short else hashlib.sha256(numbers.encode()).hexdigest()[:8]
        settings += f"-episodes-{known}"
    settings += f"-{options.control}" if options.control != "none" else ""
    settings += f"-sees-{'+'.join(options.cameras)}" if options.cameras else ""
    return Path("runs") / path.stem / settings
