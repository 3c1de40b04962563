"""Online reinforcement learning by the command of this name: checks, set-up, loop, table."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from vip_offline.encoders.encoder import Encoder
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.stages import encoder_stage
from vip_offline.online.environment import VisualEnvironments
from vip_offline.online.evaluation import rate_numbers
from vip_offline.online.fine_tuning import check_init, check_manifest, offline_policy
from vip_offline.online.goal import check_goal, embed_goal, goal_frames, goal_identity
from vip_offline.online.run_folder import (
    SUMMARY,
    existing,
    identity_of,
    progress_is_current,
    write_goal,
    write_options,
)
from vip_offline.online.train import Actor, OnlineTraining, Trained
from vip_offline.options import OnlineOptions, OnlineRun
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.policies.policy import TENSORS
from vip_offline.report.terminal.online import online_table
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.simulation.interface import check_known
from vip_offline.simulation.simulators import check_start, check_task, kind_of, views
from vip_offline.simulation.vector_env import VectorSimulator
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.utils.console import Bar
from vip_offline.utils.files import only_writer, require_writable, sha256_of, write_json


def default_folder(run: OnlineRun) -> Path:
    """Such as ``runs/online/drawer-close-npg-visual-lite0/seed-0``."""
    options = run.online
    parts = [run.task.replace("/", "-"), options.view, options.algo, options.reward]
    parts.append(options.encoder if needs_encoder(options) else "")
    parts.append("state" if options.observe == "state" else "")
    return Path("runs/online") / "-".join(filter(None, parts)) / f"seed-{options.seed}"


def check_run(run: OnlineRun) -> OnlineRun:
    """Refuse what cannot be trained, before anything is made; return it with the task's own name.

    Raises:
        VipOfflineError: naming the option.
    """
    options = run.online
    for table in (options, run.npg, run.sac):
        check_ranges(table)
    task = check_task(run.task)
    check_target(task, options.hidden_goal)
    kind = kind_of(task)
    check_start(task, options.start)
    if options.view:
        check_known(f"view of {task}:", options.view, views(task))
    if options.horizon > (most := kind.starts[options.start]):
        raise OptionError(
            OnlineOptions, "horizon", options.horizon, f"must be at most {most} for {task}."
        )
    if options.image_size % 2:
        raise OptionError(
            OnlineOptions, "image_size", options.image_size, "must be even, for the videos."
        )
    check_init(options)
    if options.init:
        check_manifest(Path(options.init), task, options, _camera(task, options))
    if needs_encoder(options):
        check_encoder(options.encoder, options.weights)
    if options.reward == "visual":
        check_goal(task, options)
    elif options.goal:
        raise VipOfflineError(
            f"--goal {options.goal[0]}: --reward {options.reward} looks at no picture. Leave it "
            "out."
        )
    return replace(run, task=task)


def needs_encoder(options: OnlineOptions) -> bool:
    """Whether frames are looked at at all."""
    return options.reward == "visual" or options.observe == "embedding"


def online_stage(run: OnlineRun, out: Path | None, bar: Bar, say: Callable[[str], None]) -> Table:
    """Train a policy online, or go on with it; returns the table of what came of it.

    Args:
        run: task and all options.
        out: folder of the run; None: `default_folder`.
        bar: of progress, in environment steps.
        say: called with lines about the goal and the run.

    Raises:
        VipOfflineError: if an option is wrong, another training is in the folder, or a simulator
            or the training breaks.
    """
    run = check_run(run)
    if run.online.algo == "sac":
        quiet_d3rlpy()
    folder = out or default_folder(run)
    require_writable(folder)
    with only_writer(folder):
        trained = _train(run, folder, bar, say)
        summary = summary_of(run, trained)
        write_json(summary, folder / SUMMARY)
    say(f"online -> {folder}")
    return online_table(summary)


def _train(run: OnlineRun, folder: Path, bar: Bar, say: Callable[[str], None]) -> Trained:
    options = run.online
    encoder = _load(options, bar, say) if needs_encoder(options) else None
    made_of = goal_identity(run.task, options) if options.reward == "visual" else []
    if options.init:
        made_of.append(sha256_of(Path(options.init) / TENSORS))
    identity = identity_of(run, made_of, encoder.provenance if encoder else {})
    checkpoint = existing(folder, identity)
    write_options(folder, run)
    done = checkpoint is not None and len(checkpoint.metrics) > run.iterations
    if checkpoint and done and progress_is_current(folder, checkpoint):
        say(f"{folder}: all {run.iterations} iterations are done")
        return Trained.read(checkpoint)
    goal = None
    if options.reward == "visual" and encoder is not None:
        pictures, names, notes = goal_frames(run.task, options)
        for note in notes:
            say(f"note: {note}")
        say(f"goal: {names}")
        goal = embed_goal(pictures, encoder, names)
        write_goal(folder, pictures)
    with contextlib.ExitStack() as stack:
        simulators = stack.enter_context(
            VectorSimulator(
                run.task,
                options.image_size,
                options.processes,
                _environments(run),
                view=options.view,
                hidden_goal=options.hidden_goal,
                start=options.start,
            )
        )
        environments = VisualEnvironments(
            simulators, options.observe, options.reward, encoder, goal
        )
        actor = _actor(run, encoder, environments)
        total = run.iterations * run.episodes * options.horizon
        advance = stack.enter_context(bar("online", total, "step"))
        training = OnlineTraining(folder, run, environments, identity, checkpoint, actor, advance)
        return training.finish()


def _environments(run: OnlineRun) -> int:
    """Environments per process; no more than there are episodes at once."""
    most = max(run.episodes, run.online.placements)
    return min(run.online.environments, -(-most // run.online.processes))


def _load(options: OnlineOptions, bar: Bar, say: Callable[[str], None]) -> Encoder:
    encoder = encoder_stage(options, bar, say)
    # goal pictures of another size are brought to that of the frames
    size = options.image_size
    return encoder.seeing(encoder.preprocessing.for_frames(size, size))


def _camera(task: str, options: OnlineOptions) -> str:
    """The view by its name; "" where the task has one."""
    names = views(task)
    return (options.view or names[0]) if len(names) > 1 else ""


def _actor(
    run: OnlineRun, encoder: Encoder | None, environments: VisualEnvironments
) -> Actor | None:
    if not run.online.init or encoder is None:
        return None
    sizes = environments.observation_size, environments.action_size
    view = _camera(run.task, run.online)
    provenance = encoder.provenance
    folder = Path(run.online.init)
    policy, tensors = offline_policy(folder, run.task, run.online, view, provenance, sizes)
    return Actor(policy, tensors)


def summary_of(run: OnlineRun, trained: Trained) -> dict[str, Any]:
    """What came of a training, as JSON values; ``online.json``."""
    steps = {int(line["iteration"]): int(line["steps"]) for line in trained.metrics}
    evaluated = sorted(trained.outcomes)
    best = max(evaluated, key=lambda iteration: trained.outcomes[iteration].mean())

    def row(iteration: int) -> dict[str, Any]:
        outcome = trained.outcomes[iteration]
        numbers = rate_numbers(outcome)
        return {
            "iteration": iteration,
            "steps": steps[iteration],
            "success": numbers["success"],
            "low": numbers["success_low"],
            "high": numbers["success_high"],
            "outcomes": [bool(success) for success in outcome],
        }

    return {
        "task": run.task,
        "placements": run.online.placements,
        "evaluations": len(evaluated),
        "start_name": "offline policy" if run.online.init else "untrained",
        "start": row(evaluated[0]),
        "end": row(evaluated[-1]),
        "best": row(best),
    }
