"""A labelled store -> policies, each in a folder of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
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
from vip_offline.training.job import TrainJob, Underway, why_again
from vip_offline.training.networks.descent import State
from vip_offline.training.trainer import Regression, by_hand
from vip_offline.training.workers import Crew
from vip_offline.utils.files import put_back
from vip_offline.utils.parallel import context, ordered_map

OnSteps = Callable[[int], None]
OnData = Callable[[TrainingSet], None]
Say = Callable[[str], None]


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
) -> None:
    """Train policies side by side; those that are there already are not trained again.

    Regressions advance chunk by chunk, each chunk in any process; other algorithms have a process
    to themselves. However many there are, each becomes what it would be alone.

    Args:
        jobs: of one or several stores and settings, each with a folder of its own.
        processes: that compute, one thread each.
        on_steps: called with the number of steps since the last call, of any policy.
        on_data: called for each different training set.
        say: called with a sentence for each policy that is trained again, as its data changed.

    Raises:
        VipOfflineError: see `train`; if two jobs want one folder.
    """
    if processes < 1:
        raise VipOfflineError(f"processes {processes}: must be at least 1.")
    outs = [each.out.absolute() for each in jobs]
    twice = [each for each in jobs if outs.count(each.out.absolute()) > 1]
    if twice:
        raise VipOfflineError(f"{twice[0].out}: two policies are to be trained into this folder.")
    missing = []
    for each in jobs:
        put_back(each.out)
        why = why_again(each.out, each.store, each.options)
        if why:
            rolled = (each.out / ROLLOUTS).exists()
            lost = "; its rollouts will go with it" if rolled else ""
            say(f"{each.out}: trained again: {why} since it was trained{lost}")
        if why or not (each.out / MANIFEST).exists():
            missing.append(each)
    for each in jobs:
        if each not in missing:
            on_steps(each.options.steps)
    regressions = [each for each in missing if by_hand(each.options)]
    others = [each for each in missing if not by_hand(each.options)]
    for few, several in ((regressions, _descend), (others, _one_process_each)):
        if min(len(few), processes) == 1:
            for job, data in _with_data(few, on_data):
                _one_thread(partial(_alone, job, data, on_steps, say))
        elif few:
            several(few, min(processes, len(few)), on_steps, on_data, say)


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


def _alone(job: TrainJob, data: TrainingSet, on_steps: OnSteps, say: Say) -> None:
    """Train one policy here."""
    with Underway(job, data) as run:
        for line in run.said:
            say(line)
        on_steps(run.done)
        while steps := run.chunk:
            run.settle(run.training.advance(steps))
            on_steps(steps)
        run.finish()


def _descend(
    jobs: Sequence[TrainJob], processes: int, on_steps: OnSteps, on_data: OnData, say: Say
) -> None:
    """Train regressions, `processes` of them at a time."""
    waiting = _with_data(jobs, on_data)
    running: dict[Future[tuple[State, float]], tuple[Underway, int]] = {}
    entered: list[Underway] = []
    # the crew ends first: then nobody advances any more, and every run writes down where it stands
    with ExitStack() as stack, Crew(processes, jobs[0].out.parent) as crew:

        def close_all() -> None:
            for run in entered:
                run.close()

        stack.callback(close_all)

        def go_on(run: Underway) -> None:
            steps, training = run.chunk, run.training
            if not steps:
                run.finish()
                run.close()
                entered.remove(run)  # and with the last run of an arm its data
                return
            assert isinstance(training, Regression)
            future = crew.advance(training.state, run.data.columns, training.settings, steps)
            running[future] = (run, steps)

        def refill() -> None:
            # one more than processes, so that none waits while a finished chunk is looked at
            while len(running) <= processes:
                following = next(waiting, None)
                if following is None:
                    return
                run = Underway(*following)
                entered.append(run)
                for line in run.said:
                    say(line)
                on_steps(run.done)
                go_on(run)

        try:  # a process that was killed shows in a result, or when it is handed the next steps
            refill()
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    run, steps = running.pop(future)
                    assert isinstance(run.training, Regression)
                    run.training.state, loss = future.result()
                    run.settle(loss)
                    on_steps(steps)
                    go_on(run)
                refill()
        except BrokenProcessPool:
            raise crew.gone() from None


_stop: Event | None = None  # in a side process: its parent wants it to come to an end


def _listen(stop: Event) -> None:
    global _stop
    quiet_d3rlpy()
    _stop = stop


def _look_up(_: int) -> None:
    if _stop is not None and _stop.is_set():
        raise KeyboardInterrupt


def _run_job(job: TrainJob) -> tuple[TrainJob, list[str]]:
    """Train one policy, in a side process; with what is to be said of it."""
    said: list[str] = []
    data = training_set(job.store, job.options)
    _one_thread(partial(_alone, job, data, _look_up, said.append))
    return job, said


def _one_process_each(
    jobs: Sequence[TrainJob], processes: int, on_steps: OnSteps, on_data: OnData, say: Say
) -> None:
    """Train what d3rlpy trains, `processes` of them at a time."""
    for _ in _with_data(jobs, on_data):
        pass  # said here; each process reads for itself
    stop = context().Event()
    for job, said in ordered_map(_run_job, jobs, processes, partial(_listen, stop), stop.set):
        for line in said:
            say(line)
        on_steps(job.options.steps)
