"""A labelled store -> policies, each in a folder of its own."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import groupby
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.policies.policy import MANIFEST, ROLLOUTS
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.training.data.dataset import TrainingSet, training_set
from vip_offline.training.job import TrainingRun, TrainJob, why_again
from vip_offline.training.trainer import Regression, is_regression, trainer_of
from vip_offline.utils.files import only_writer, put_back
from vip_offline.utils.parallel import context, ordered_map

OnSteps = Callable[[int], None]
OnData = Callable[[TrainingSet], None]
Say = Callable[[str], None]
AdvanceNetworks = Callable[[int], list[float]]  # see `trainer.RegressionTrainer`
# networks of an ensemble: more are not faster, and hold more memory
MOST_TOGETHER = 20
MOST_BYTES = 2**30  # of the different observations that an ensemble learns from


def _silent(_: Any) -> None:
    """The default of callbacks; a lambda could not travel."""


def seeded(options: TrainOptions, seeds: int) -> list[TrainOptions]:
    """The same settings with `seeds` consecutive seeds, from their own on."""
    return [replace(options, seed=options.seed + index) for index in range(seeds)]


def train(
    store: Path,
    options: TrainOptions,
    out: Path,
    on_steps: OnSteps = _silent,
    on_data: OnData = _silent,
) -> None:
    """Train one policy into the folder `out`, which appears when it is whole.

    Stopped, by ctrl-C or worse, the same call goes on from where it stood, and ends in the same
    policy to the bit.

    Args:
        store: the labelled demonstrations.
        options: what to train.
        out: the policy folder.
        on_steps: called with the number of steps since the last call.
        on_data: called once, before training, with what is learnt from.

    Raises:
        VipOfflineError: see `training_set` and `why_again`; if training diverges.
    """
    train_all([TrainJob(store, options, out)], 1, on_steps, on_data)


def train_all(
    jobs: Sequence[TrainJob],
    processes: int,
    on_steps: OnSteps = _silent,
    on_data: OnData = _silent,
    say: Say = _silent,
    device: str = "cpu",
) -> None:
    """Train policies side by side; those that are there already are not trained again.

    Regressions of one shape are trained as ensembles, each in a thread; other algorithms have a
    process to themselves. However many there are, each becomes what it would be alone.

    Args:
        jobs: of one or several stores and settings, each with a folder of its own.
        processes: threads or processes that compute side by side, on one core each.
        on_steps: called with the number of steps since the last call, of any policy.
        on_data: called for each different training set.
        say: called with a sentence for each policy that is trained again, as its data changed.
        device: of torch, for regressions: "cpu", "cuda", ... Other algorithms use the CPU.

    Raises:
        VipOfflineError: see `train`; if two jobs want one folder.
    """
    if processes < 1:
        raise VipOfflineError(f"processes {processes}: must be at least 1.")
    folders = [job.out.absolute() for job in jobs]
    shared = [folder for folder in folders if folders.count(folder) > 1]
    if shared:
        raise VipOfflineError(f"{shared[0]}: two policies are to be trained into this folder.")
    for left in (left for f in {*folders} for left in f.parent.glob(".columns-*.partial")):
        # of an earlier release that was killed
        with contextlib.suppress(VipOfflineError, OSError), only_writer(left):
            shutil.rmtree(left)
    missing = []
    for job in jobs:
        put_back(job.out)
        why = why_again(job.out, job.store, job.options)
        if why:
            rolled = (job.out / ROLLOUTS).exists()
            lost = "; its rollouts will go with it" if rolled else ""
            say(f"{job.out}: trained again: {why}{lost}")
        if why or not (job.out / MANIFEST).exists():
            missing.append(job)
    for job in jobs:
        if job not in missing:
            on_steps(job.options.steps)
    regressions = [job for job in missing if is_regression(job.options)]
    others = [job for job in missing if not is_regression(job.options)]
    if min(len(others), processes) > 1:
        _train_in_processes(others, min(len(others), processes), on_steps, on_data, say)
        others = []
    for alike in (regressions, others):
        if alike:
            _one_thread(
                partial(_train_in_threads, alike, processes, device, on_steps, on_data, say)
            )


def _with_data(jobs: Sequence[TrainJob], on_data: OnData) -> Iterator[tuple[TrainJob, TrainingSet]]:
    """Each job with what it learns from, which jobs that differ by their seed share."""

    def shared(job: TrainJob) -> tuple[Path, TrainOptions]:
        # the permuted control deals its weights out by the seed
        seed = job.options.seed if job.options.control == "permuted" else 0
        return job.store, replace(job.options, seed=seed)

    for _, group in groupby(jobs, shared):
        alike = list(group)
        data = training_set(alike[0].store, alike[0].options)
        on_data(data)
        yield from ((job, data) for job in alike)


def _one_thread(work: Callable[[], None]) -> None:
    """Networks this small are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work()
    finally:
        torch.set_num_threads(threads)


def _fit_together(group: Sequence[TrainingRun]) -> bool:
    """Whether one ensemble can train these."""
    trainings = [run.training for run in group]
    regressions = [training for training in trainings if isinstance(training, Regression)]
    kinds = {
        (run.done, run.job.options.steps, training.hyperparameters)
        for run, training in zip(group, regressions, strict=False)
    }
    tables = {id(training.transitions): training.transitions for training in regressions}
    size = sum(transitions.observation.nbytes for transitions in tables.values())
    return len(regressions) == len(group) and len(kinds) == 1 and size <= MOST_BYTES


def _train_in_threads(
    jobs: Sequence[TrainJob],
    threads: int,
    device: str,
    on_steps: OnSteps,
    on_data: OnData,
    say: Say,
) -> None:
    """Train ensembles, or single policies by d3rlpy, `threads` of them at a time.

    Torch's kernels let go of the interpreter's lock. This thread looks at what each chunk of steps
    led to and hands out the next.
    """
    most = min(MOST_TOGETHER, -(-len(jobs) // threads)) if is_regression(jobs[0].options) else 1
    entered: list[TrainingRun] = []
    running: dict[Future[list[float]], tuple[list[TrainingRun], AdvanceNetworks, int]] = {}

    def groups() -> Iterator[list[TrainingRun]]:
        group: list[TrainingRun] = []
        for job, data in _with_data(jobs, on_data):
            run = TrainingRun(job, data)
            entered.append(run)
            for note in run.notes:
                say(note)
            on_steps(run.done)
            if group and not _fit_together([*group, run]):
                yield group
                group = []
            group.append(run)
            if len(group) == most:
                yield group
                group = []
        if group:
            yield group

    def close_all() -> None:
        for run in entered:
            run.close()

    # the threads end first: then nothing advances any more, and every run writes down its state
    with (
        ExitStack() as stack,
        ThreadPoolExecutor(threads, "train", torch.set_num_threads, (1,)) as pool,
    ):
        stack.callback(close_all)

        def go_on(runs: list[TrainingRun], advance: AdvanceNetworks) -> None:
            steps = runs[0].chunk
            if steps:
                running[pool.submit(advance, steps)] = runs, advance, steps
                return
            for run in runs:
                if warning := run.finish():
                    say(warning)
                run.close()
                entered.remove(run)  # and with the last run of an arm its data

        waiting = groups()
        while True:
            while len(running) < threads and (runs := next(waiting, None)):
                trainer = trainer_of([run.training for run in runs], device)
                go_on(runs, trainer.advance)
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                runs, advance, steps = running.pop(future)
                for run, loss in zip(runs, future.result(), strict=True):
                    run.settle(loss)
                on_steps(steps * len(runs))
                go_on(runs, advance)


_stop: Event | None = None  # in a side process: its parent wants it to come to an end


def _listen(stop: Event) -> None:
    global _stop
    quiet_d3rlpy()
    _stop = stop


def _look_up(_: int) -> None:
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


def _run_job(job: TrainJob) -> tuple[TrainJob, list[str]]:
    """Train one policy, in a side process; with the notes for the user."""
    notes: list[str] = []
    _one_thread(partial(_train_in_threads, [job], 1, "cpu", _look_up, _silent, notes.append))
    return job, notes


def _train_in_processes(
    jobs: Sequence[TrainJob], processes: int, on_steps: OnSteps, on_data: OnData, say: Say
) -> None:
    """Train what d3rlpy trains, `processes` of them at a time."""
    for _ in _with_data(jobs, on_data):
        pass  # reported here; each process reads for itself
    stop = context().Event()
    for job, notes in ordered_map(_run_job, jobs, processes, partial(_listen, stop), stop.set):
        for note in notes:
            say(note)
        on_steps(job.options.steps)
