"""Goal images as they stand beside the curves of distances to them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.rewards.goal_views import GoalView

Picture = tuple[NDArray[np.uint8], str]  # (h, w, 3), caption


def beside_curves(views: Sequence[GoalView]) -> list[Picture]:
    """The first picture of each stage of a goal; of words, or of a picture that is gone, none."""
    pictures: list[Picture] = []
    for stage, view in enumerate(views, 1):
        for _, pixels in view.pictures[:1]:
            name = f"goal {stage}" if len(views) > 1 else "goal"
            shown = f", 1 of {view.count} pictures" if view.count > 1 else ""
            pictures.append((pixels, name + shown))
    return pictures


def of_row(
    goals: Sequence[tuple[str, tuple[GoalView, ...]]], name: str, *, control: bool
) -> tuple[GoalView, ...]:
    """The goal that the distances of a labelling are to; a control has that of the first one.

    Args:
        goals: of an `Analysis`: names of labellings, and the goal that they share.
        name: of the row.
        control: whether it is one.
    """
    if control and goals:
        return goals[0][1]
    # names are the user's and may hold what stands between them
    exact = [views for names, views in goals if names == name]
    among = [views for names, views in goals if name in names.split(", ")]
    return next(iter([*exact, *among]), ())
