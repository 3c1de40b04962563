"""The goal of an online training: picture files, or how the task ends where it is solved."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.encoders.encoder import Encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import OnlineOptions, RecordOptions
from vip_offline.rewards.functions import mean_goal
from vip_offline.simulation.interface import split_task
from vip_offline.simulation.kitchen_goals import solved_goal
from vip_offline.simulation.record import record_planned
from vip_offline.simulation.simulators import make_simulator, scripted_expert, views
from vip_offline.simulation.suites.kitchen import KITCHEN, GoalKind, KitchenSimulator
from vip_offline.utils.arrays import Floats, Pixels
from vip_offline.utils.files import sha256_of
from vip_offline.utils.parallel import process_map

OBJECT = "object"  # in place of a picture: the object moved, the arm at home
SAME_SHAPE = 0.02  # greatest relative difference of aspect ratios that nobody need hear of


def check_goal(task: str, options: OnlineOptions) -> None:
    """Refuse a goal that cannot be had, before anything is made.

    Raises:
        VipOfflineError: on a picture that is not there, or a task that has no such goal.
    """
    is_kitchen = split_task(task)[0] == KITCHEN
    if options.goal == (OBJECT,):
        if not is_kitchen:
            raise VipOfflineError(
                f"--goal {OBJECT}: is known of tasks of Kitchen alone, not of {task}. Leave it "
                "out, or name a picture."
            )
        return
    for path in options.goal:
        if not Path(path).is_file():
            raise VipOfflineError(f"--goal {path}: is no file. Name a picture of the solved task.")
        read_picture(Path(path))
    if not options.goal:
        if is_kitchen:
            solved_goal(split_task(task)[1])
        else:
            scripted_expert(task)


def goal_identity(task: str, options: OnlineOptions) -> list[str]:
    """What tells one goal from another: the files' sha256, or which of its own goals a task has.

    Raises:
        VipOfflineError: if a picture cannot be read.
    """
    if options.goal and options.goal != (OBJECT,):
        return [sha256_of(Path(path)) for path in options.goal]
    return [_kitchen_kind(options)] if split_task(task)[0] == KITCHEN else []


def goal_frames(task: str, options: OnlineOptions) -> tuple[list[Pixels], str, tuple[str, ...]]:
    """Pictures of the solved task.

    Args:
        task: a known one.
        options: picture files; or, where there are scripted experts, the number of placements
            that the expert is to solve. These are training placements: what is evaluated on is
            not looked at.

    Returns:
        (H, W, 3) RGB pictures; where they come from, in words; notes for the user.

    Raises:
        VipOfflineError: on a picture that cannot be read, or an expert that does not succeed.
    """
    if options.goal and options.goal != (OBJECT,):
        return _given(options.goal)
    # in processes of their own, as all that draws
    if split_task(task)[0] == KITCHEN:
        kind = _kitchen_kind(options)
        draw = partial(_kitchen_goal, options.image_size, options.view, kind)
        names = (
            "the end of a trajectory that solved the task"
            if kind == "solved"
            else "the object moved and the arm at home"
        )
        return [*process_map(draw, [task], 1)], names, ()
    camera = options.view or views(task)[0]
    record = RecordOptions(
        task=task,
        image_size=options.image_size,
        camera=camera,
        hidden_goal=options.hidden_goal,
    )
    planned = [("expert", placement) for placement in range(options.expert_goals)]
    episodes = process_map(partial(record_planned, options=record), planned, options.processes)
    frames = [episode.frames[camera][-1] for episode, _ in episodes]
    many = f"s of {len(frames)} successes" if len(frames) > 1 else " of a success"
    return frames, f"the last frame{many} of the scripted expert", ()


def _given(paths: Sequence[str]) -> tuple[list[Pixels], str, tuple[str, ...]]:
    pictures = [read_picture(Path(path)) for path in paths]
    notes = [
        f"{path} has {picture.shape[1]} x {picture.shape[0]} px, the frames are square: it shows "
        "another field of view, so no frame comes as near to it as it might."
        for path, picture in zip(paths, pictures, strict=True)
        if abs(picture.shape[1] / picture.shape[0] - 1) > SAME_SHAPE
    ]
    return pictures, ", ".join(paths), tuple(notes)


def _kitchen_kind(options: OnlineOptions) -> GoalKind:
    return "object" if options.goal else "solved"


def _kitchen_goal(image_size: int, view: str, kind: GoalKind, task: str) -> Pixels:
    with make_simulator(task, image_size, view=view) as simulator:
        assert isinstance(simulator, KitchenSimulator)
        picture, _ = simulator.goal(kind)
        return picture


def embed_goal(pictures: Sequence[Pixels], encoder: Encoder, names: str) -> Floats:
    """(D,) mean embedding of goal pictures, which may differ in size.

    Raises:
        VipOfflineError: if it is not finite.
    """
    embedded = np.concatenate([encoder(picture[None]) for picture in pictures])
    if not np.isfinite(embedded).all():
        raise VipOfflineError(
            f"Encoder {encoder.name} gives an embedding of the goal ({names}) that is not finite. "
            "Check its weights, or choose another --encoder."
        )
    return mean_goal(embedded)
