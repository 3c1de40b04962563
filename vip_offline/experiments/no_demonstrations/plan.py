"""Tasks solved from a goal picture alone: every task, view, encoder and seed of a recipe.

A finished run is not repeated, and one that was interrupted begins again. Each run keeps its
episode, so that a store may be written afterwards.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vip_offline.analysis.closed_loop.conditions import processor
from vip_offline.config import dump
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.no_demonstrations.plan_numbers import episode_numbers, summarise
from vip_offline.experiments.no_demonstrations.plan_runs import (
    Run,
    begin_run,
    finished_numbers,
    read_trajectory,
    runs_of,
    write_run,
)
from vip_offline.experiments.stages import encoder_stage
from vip_offline.options import PlanOptions, PlanRecipe, SearchOptions
from vip_offline.options.fields import OptionError
from vip_offline.options.plan import DENSE
from vip_offline.planning.episode import as_episode, plan_episode
from vip_offline.planning.goals import OBJECT, check_goal, given_goal, goal_of
from vip_offline.planning.optimizers import optimizer_of
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.planning.rewards import DenseReward, Reward, to_goal
from vip_offline.planning.shooting import begin, wear
from vip_offline.report.figures.plans import save_plans
from vip_offline.rewards.goals import other_view_note
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.simulation.interface import METAWORLD, check_known, split_task
from vip_offline.simulation.simulators import (
    check_start,
    check_task,
    kind_of,
    make_simulator,
    views,
)
from vip_offline.utils.console import Advance, Bar
from vip_offline.utils.files import (
    only_writer,
    replace_file,
    require_writable,
    sha256_of,
    write_json,
)

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder

SUMMARY = "plans.json"
Say = Callable[[str], None]


def check_plan(recipe: PlanRecipe) -> list[list[Run]]:
    """Refuse what cannot be planned, before anything is started.

    Returns:
        The runs of each combination.

    Raises:
        VipOfflineError: on an unknown task, view, start or encoder, a value out of its range, and a
            goal that is no picture.
    """
    recipe.plan.check()
    recipe.search.check()
    if not recipe.tasks:
        raise VipOfflineError("tasks: a recipe with [plan] names the tasks to plan for.")
    cells: dict[Path, list[Run]] = {}
    for name, options, search in recipe.cells():
        options.check()
        search.check()
        task = check_task(name)
        view = options.view or views(task)[0]
        check_known(f"view of {task}:", view, views(task))
        check_start(task, options.start)
        _check_steps(task, options, search.horizon)
        if options.encoder != DENSE:
            check_encoder(options.encoder, options.weights)
        check_goal(task, options.goal, needed=options.encoder != DENSE)
        picture = options.goal not in ("", OBJECT)
        content = content_of(given_goal(options.goal).picture).tobytes().hex() if picture else ""
        named = replace(options, view=view)
        weights = sha256_of(Path(options.weights)) if options.weights else ""
        runs = runs_of(Path(recipe.out), task, named, search, content, weights)
        cells.setdefault(runs[0].folder, runs)  # named twice, it is planned once
    return [*cells.values()]


def _check_steps(task: str, options: PlanOptions, horizon: int) -> None:
    """Refuse more steps than an episode has, or than the simulator lets sequences try.

    Raises:
        OptionError: with the most that are allowed.
    """
    most, why = kind_of(task).starts[options.start], "steps an episode has"
    if split_task(task)[0] == METAWORLD:  # which raises beyond
        if horizon >= most:
            reason = f"must be below {most} for {task}, {why}."
            raise OptionError(SearchOptions, "horizon", horizon, reason)
        most, why = most - horizon, f"since sequences look {horizon} steps ahead"
    if options.length > most:
        reason = f"must be at most {most} for {task}, {why}."
        raise OptionError(PlanOptions, "steps", options.length, reason)


def plan_stage(recipe: PlanRecipe, bar: Bar, say: Say, store: Path | None = None) -> dict[str, Any]:
    """Plan what is not planned yet.

    Args:
        recipe: with the folder of the runs.
        bar: of progress, in environment steps.
        say: called with sentences for the user.
        store: where the episodes are written to, too; made if it is not there.

    Returns:
        The summary, also written to the recipe's folder.

    Raises:
        VipOfflineError: see `check_plan`; if a simulator process ends, an encoder gives what is no
            number, or a folder holds runs of other settings.
    """
    cells, out = check_plan(recipe), Path(recipe.out)
    if store is not None and len(cells) > 1:
        raise VipOfflineError(
            f"{store}: a store holds one task, seen from one camera; here are {len(cells)} "
            "combinations of task, view and encoder."
        )
    if store is not None:
        attributes = _attributes(cells[0][0])
        if (store / "zarr.json").exists():  # of other settings is refused now, not in an hour
            with writing(store, create=attributes):
                pass
    for run in (run for cell in cells for run in cell):
        finished_numbers(run)  # of other settings is refused before anything is made
    require_writable(out)
    with only_writer(out):
        numbers = {run.folder: finished_numbers(run) for cell in cells for run in cell}
        open_cells = [[run for run in cell if numbers[run.folder] is None] for cell in cells]
        replace_file(out / "recipe.toml", dump(recipe).encode())
        encoders: dict[str, Encoder] = {}
        for run in (cell[0] for cell in open_cells if cell):
            if (name := run.options.encoder) not in {DENSE, *encoders}:
                encoders[name] = encoder_stage(run.options, bar, say)
        steps = sum(run.options.length for cell in open_cells for run in cell)
        with bar("plan", steps, "step") as advance:
            for cell in filter(None, open_cells):
                encoder = encoders.get(cell[0].options.encoder)
                for run, content in _plan_cell(cell, encoder, say, advance):
                    numbers[run.folder] = content
        done = sum(map(len, open_cells))
        say(f"plan: {done} episodes -> {out}" if done else f"plan: all are there, in {out}")
        summary = summarise([[numbers[run.folder] or {} for run in cell] for cell in cells])
        write_json(summary, out / SUMMARY)
        save_plans(summary, out)
    if store is not None:
        say(_store_runs(store, attributes, cells[0]))
    return summary


def _plan_cell(
    cell: Sequence[Run], encoder: "Encoder | None", say: Say, advance: Advance
) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Plan runs that differ in their seeds alone; yields each with its numbers."""
    options, task, search = cell[0].options, cell[0].task, cell[0].search
    make = partial(make_simulator, task, options.image_size, view=options.view, start=options.start)
    optimizer, rate = optimizer_of(search), kind_of(task).control_rate
    with SimulatorProcesses(make, options.processes) as processes:
        goal = goal_of(processes, task, options.goal, options.placement)
        say(f"{task}, {options.view}, {options.encoder}: the goal is {goal.source}")
        reward: Reward = DenseReward()
        if encoder is not None:
            side = options.image_size
            if note := other_view_note(goal.source, goal.picture, side, side):
                say(f"note: {note}")
            reward = to_goal(encoder, goal.picture, side)
        size = processes.call(_action_size)
        for run in cell:
            begin_run(run)
            started = time.perf_counter()
            # after the goal was drawn, which stays clean
            nuisance = run.nuisances[run.options.seed]
            processes.map(wear, [(nuisance,)] * options.processes)
            start = processes.call(begin, options.placement)
            trajectory = plan_episode(
                processes,
                optimizer,
                reward,
                start,
                (search.horizon, size),
                options.length,
                run.options.seed,
                default_action=search.default_action,
                on_step=lambda: advance(1),
            )
            distances = reward.distances(trajectory.frames)
            numbers = episode_numbers(task, trajectory, distances, goal)
            numbers |= {
                "goal": goal.source,
                "seconds": round(time.perf_counter() - started, 2),
                "computed_by": {"reward": reward.name, "processor": processor()},
            }
            yield run, write_run(run, trajectory, distances, numbers, rate)


def _action_size(simulator: Any) -> int:
    return int(simulator.action_size)


def _attributes(run: Run) -> dict[str, Any]:
    """What a store of episodes of this kind says of itself.

    Raises:
        VipOfflineError: if placements of the task differ in nothing that a frame shows.
    """
    kind, target = kind_of(run.task), check_target(run.task, False)
    return {
        "source": split_task(run.task)[0],
        "task": run.task,
        "control_rate": kind.control_rate,
        "proprio": [*kind.proprio],
        "plan": {key: value for key, value in run.settings.items() if key != "seed"},
        **({} if target == "drawn" else {"target": target}),
    }


def _store_runs(path: Path, attributes: Mapping[str, Any], cell: Sequence[Run]) -> str:
    """Append the episodes of finished runs that a store has not; says how many."""
    with writing(path, create=attributes) as store:
        stored = {*store.meta("source_episode").tolist()} if len(store) else set()
        missing = [run for run in cell if run.options.seed not in stored]
        for run in missing:
            options = run.options
            trajectory = read_trajectory(run)
            store.append(as_episode(trajectory, options.view, options.placement, options.seed))
        return f"store: {len(missing)} episodes written, {len(store)} in {path}"
