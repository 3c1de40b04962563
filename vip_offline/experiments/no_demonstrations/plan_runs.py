"""A run of `plan`: its folder, what it was made by, and its numbers.

The folder of a run holds its recipe, its episode, a film, and last of all its numbers: without
those it was interrupted, and begins again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline import __version__
from vip_offline.config import dump
from vip_offline.dataset.media.video import write_video
from vip_offline.errors import VipOfflineError
from vip_offline.options import PlanOptions, PlanRecipe, SearchOptions
from vip_offline.planning.episode import Trajectory
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.training.checkpoint import UNREADABLE
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import read_json, replace_file, whole_file, write_json

NUMBERS, FILM, EPISODE, RECIPE = "plan.json", "plan.mp4", "episode.npz", "recipe.toml"
FILM_RATE = 25.0  # frames per second at most
# of `PlanOptions`, what changes no number but by rounding, is another run's, or is said otherwise
NOT_OF_A_RUN = ("seeds", "processes", "backend", "device", "nuisance", "nuisance_level")


@dataclass(frozen=True)
class Run:
    """An episode that is to be planned."""

    folder: Path
    task: str  # as stored
    options: PlanOptions  # with the view by its name, and one seed
    search: SearchOptions
    goal: str = ""  # content hash of the given goal picture
    weights: str = ""  # sha256 of the given checkpoint

    @property
    def nuisances(self) -> Nuisances:
        """Of the frames that it plans on; one for each seed."""
        return Nuisances.of(self.options, "plan")

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides how it ends, as JSON values."""
        options = {
            key: value for key, value in asdict(self.options).items() if key not in NOT_OF_A_RUN
        }
        options["steps"] = self.options.length
        options |= self.nuisances.settings()
        # files are known by what is in them
        options["weights"] = self.weights
        options["goal"] = self.goal or self.options.goal
        settings = {"task": self.task, **options, **asdict(self.search)}
        return dict(json.loads(json.dumps(settings)))

    @property
    def recipe(self) -> PlanRecipe:
        """What `vip-offline run` makes it again from."""
        return PlanRecipe(
            plan=replace(self.options, seeds=1),
            search=self.search,
            name=self.folder.name,
            out=str(self.folder.parents[len(Path(self.task).parts) + 1]),
            tasks=(self.task,),
        )


def runs_of(
    out: Path, task: str, options: PlanOptions, search: SearchOptions, goal: str, weights: str
) -> list[Run]:
    """The runs of one combination of a recipe, one per seed.

    Args:
        out: folder of all runs.
        task: as stored.
        options: with the view by its name.
        search: of action sequences.
        goal: content hash of the given goal picture; "": the task's own.
        weights: sha256 of the given checkpoint; "": the encoder's own.
    """
    name = f"{options.view}-{options.encoder}-{options.start}-{search.sequences}"
    cell = out / task / name
    return [
        Run(cell / f"seed-{seed}", task, replace(options, seed=seed), search, goal, weights)
        for seed in range(options.seed, options.seed + options.seeds)
    ]


def finished_numbers(run: Run) -> dict[str, Any] | None:
    """The numbers of a run; None: it has not ended, or its file is damaged.

    Raises:
        VipOfflineError: if it was made by other settings.
    """
    numbers = read_json(run.folder / NUMBERS)
    if numbers is None or not isinstance(before := numbers.get("settings"), dict):
        return None
    after = run.settings
    differing = [
        f"{key} {before.get(key)!r}, now {after.get(key)!r}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    if differing:
        raise VipOfflineError(
            f"{run.folder}: holds a run of other settings ({'; '.join(differing)}). Choose another "
            "--out, or delete that folder."
        )
    return numbers


def begin_run(run: Run) -> None:
    """Clear what an interrupted run left, and write the recipe."""
    run.folder.mkdir(parents=True, exist_ok=True)
    for name in (NUMBERS, FILM, EPISODE):
        (run.folder / name).unlink(missing_ok=True)
    replace_file(run.folder / RECIPE, dump(run.recipe).encode())


def write_run(
    run: Run,
    trajectory: Trajectory,
    distances: Floats | None,
    numbers: Mapping[str, Any],
    rate: float,
) -> dict[str, Any]:
    """Write episode, film and numbers, in this order.

    Args:
        run: that has ended.
        trajectory: what it did.
        distances: (T + 1,) of its frames to the goal; None: it knows none.
        numbers: JSON values.
        rate: control rate of the simulator in Hz.

    Returns:
        The numbers with the settings, as they are in the file.
    """
    from vip_offline.analysis.metrics import normalised
    from vip_offline.report.figures.films import write_film

    with whole_file(run.folder / EPISODE) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **vars(trajectory))
    film, speed = run.folder / FILM, min(rate, FILM_RATE)
    if distances is None:
        write_video(film, trajectory.frames, speed)
    else:
        write_film(film, trajectory.frames, {run.options.encoder: normalised(distances)}, speed)
    content = {"settings": run.settings, "code_version": __version__, **numbers}
    write_json(content, run.folder / NUMBERS)
    return content


def read_trajectory(run: Run) -> Trajectory:
    """What a finished run did.

    Raises:
        VipOfflineError: if the file is gone or damaged.
    """
    path = run.folder / EPISODE
    try:
        with np.load(path) as arrays:
            return Trajectory(**{field.name: arrays[field.name] for field in fields(Trajectory)})
    except (OSError, KeyError, ValueError, EOFError, *UNREADABLE) as error:
        raise VipOfflineError(
            f"{path}: cannot be read ({error}). Delete {run.folder / NUMBERS}, and run the same "
            "command again: it makes the run anew."
        ) from None
