"""Goals of Kitchen's tasks, and their easy starts: what trajectories gave that planning solved.

Per task there is ``TASK.json`` with joint positions and velocities, and ``TASK-VIEW.png`` with the
picture of the last state from each view. ``recipes/kitchen_goals.py`` makes them. A task that is
not here was not solved: it has neither a goal picture of this kind nor an easy start.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.errors import VipOfflineError
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import replace_file, whole_file

FOLDER = Path(__file__).parent
EASY_STEP = 20  # of the trajectory, where the easy start is (mppi_config of the authors' code)


@dataclass(frozen=True)
class SolvedGoal:
    """What a trajectory that solved a task gave; positions in rad and m, velocities in rad/s, m/s.

    States are positions and velocities rather than MuJoCo's own saved states, whose size depends
    on its version.
    """

    goal_qpos: Floats  # (30,) at the end
    easy_qpos: Floats  # (30,) after `EASY_STEP` steps
    easy_qvel: Floats  # (29,)
    actions: Floats  # (T, 9) from the hard start at placement 0
    solved_at: int  # steps, the first time
    seed: int  # of the noise that found it
    sequences: int  # per decision

    @property
    def state(self) -> Floats:
        """(59,) the goal as a state of the simulator: at rest."""
        return np.concatenate([self.goal_qpos, np.zeros_like(self.easy_qvel)])


def solved_names(folder: Path = FOLDER) -> list[str]:
    """Names of the tasks that have a goal here, without their prefix."""
    return sorted(path.stem for path in folder.glob("*.json"))


def solved_goal(name: str, folder: Path = FOLDER) -> SolvedGoal:
    """Goal and easy start of a task, named without its prefix.

    Raises:
        VipOfflineError: if it was not solved.
    """
    try:
        stored = json.loads((folder / f"{name}.json").read_text())
    except FileNotFoundError:
        raise VipOfflineError(
            f"kitchen/{name}: planning on the dense reward did not solve it, so it has no easy "
            "start and no goal picture with the arm at the object. Use --start hard --goal object: "
            "the goal is then the object moved, the arm at home. "
            f"Solved: {', '.join(solved_names(folder))}."
        ) from None
    return SolvedGoal(
        goal_qpos=np.array(stored["goal_qpos"], np.float64),
        easy_qpos=np.array(stored["easy_qpos"], np.float64),
        easy_qvel=np.array(stored["easy_qvel"], np.float64),
        actions=np.array(stored["actions"], np.float64),
        solved_at=int(stored["solved_at"]),
        seed=int(stored["seed"]),
        sequences=int(stored["sequences"]),
    )


def solved_picture(name: str, view: str, folder: Path = FOLDER) -> NDArray[np.uint8]:
    """(128, 128, 3) RGB of the goal of a solved task from a view.

    Raises:
        VipOfflineError: if the task was not solved.
    """
    solved_goal(name, folder)
    with Image.open(folder / f"{name}-{view}.png") as picture:
        return np.asarray(picture.convert("RGB"))


def write_solved(
    folder: Path, name: str, solved: SolvedGoal, pictures: dict[str, NDArray[np.uint8]]
) -> None:
    """Write a task's files: the pictures first, so that what is listed is whole.

    Args:
        folder: made if it is not there.
        name: of the task, without its prefix.
        solved: what the trajectory gave.
        pictures: view -> (H, W, 3).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for view, picture in pictures.items():
        with whole_file(folder / f"{name}-{view}.png") as partial:
            Image.fromarray(picture).save(partial, format="PNG", optimize=True)
    plain = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in vars(solved).items()
    }
    # one line per array
    rows = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in plain.items())
    replace_file(folder / f"{name}.json", f"{{\n{rows}\n}}\n".encode())
