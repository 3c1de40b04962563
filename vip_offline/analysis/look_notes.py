"""What a user should know of a look at a video, in sentences; pure functions."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from vip_offline.dataset.validation.checks import LOSSY
from vip_offline.options import Fit
from vip_offline.utils.arrays import Floats

CUT = 0.2  # share of a frame's side from which on it is said that the encoder does not see it
ASPECT = 0.02  # share by which the aspects of pictures may differ before it is said
# times their way, from which on videos' goals lie too far from each other to be one
SCENES_APART = 1.0
DONE: dict[Fit, str] = {
    "crop": "of each its central square is compared",
    "pad": "each is compared whole, between bars",
    "squash": "each is squashed to a square",
}


def cut_notes(video: Path, encoder: str, shares: tuple[float, float]) -> list[str]:
    """What of the frames is not looked at.

    Args:
        video: its path.
        encoder: its name.
        shares: of the height and of the width that are cut off, from 0 to 1.
    """
    return [
        f"{video}: {encoder} sees the central square, {1 - share:.0%} of the {side}. "
        "--fit pad shows it all."
        for share, side in zip(shares, ("height", "width"), strict=True)
        if share == max(shares) >= CUT  # what is lost of a square frame is its border
    ]


def shape_notes(
    video: Path, shape: tuple[int, int], goal: str, goal_shape: tuple[int, int], fit: Fit
) -> list[str]:
    """Whether the goal has another shape than the video, and what was done about it.

    Args:
        video: its path.
        shape: height and width of its frames in px.
        goal: what the goal is, such as a path.
        goal_shape: height and width in px.
        fit: how both become square.
    """
    (height, width), (high, wide) = shape, goal_shape
    if abs((wide / high) / (width / height) - 1) <= ASPECT:
        return []
    return [
        f"{goal} is {wide} x {high} px ({_orientation(high, wide)}) and {video} {width} x "
        f"{height} px ({_orientation(height, width)}): {DONE[fit]}."
    ]


def _orientation(height: int, width: int) -> str:
    if abs(width / height - 1) <= ASPECT:
        return "square"
    return "landscape" if width > height else "portrait"


def scene_notes(
    goals: Sequence[Floats], starts: Sequence[Floats], videos: Sequence[Path]
) -> list[str]:
    """Whether several videos seem to show different scenes, or the same recording.

    Args:
        goals: (D,) embedding of the last frame, for each video.
        starts: (D,) embedding of the first frame, for each video.
        videos: their paths.
    """
    for row, goal in enumerate(goals):
        for other in range(row):
            if np.array_equal(goal, goals[other]):
                return [
                    f"{videos[row]} and {videos[other]} end in the same picture. Are they one "
                    "recording?"
                ]
    # not `goal_agreement`: of two scenes the mean goal lies half-way, and so do the starts from it
    gaps = [np.linalg.norm(a - b) for a, b in combinations(goals, 2)]
    ways = [np.linalg.norm(start - goal) for start, goal in zip(starts, goals, strict=True)]
    apart = float(np.mean(gaps) / (np.mean(ways) or 1.0))
    if apart >= SCENES_APART:
        return [
            f"the videos' last frames lie {apart:.0%} as far from each other as from their own "
            "first frames: do they show one scene and one task? Look at each alone, or give a "
            "--goal image."
        ]
    return []


def end_notes(video: Path, distance: Floats, *, moves: bool) -> list[str]:
    """Whether the curve says nothing, or ends where it should not.

    Args:
        video: its path.
        distance: (T,) to the goal, by the encoder.
        moves: whether anything does where the encoder looks.
    """
    if not moves:
        return [
            f"{video}: nothing moves where the encoder looks (no place differs from the first "
            f"frame by more than {LOSSY} of 255 grey levels), so the curve is noise."
        ]
    if distance[-1] >= distance[0]:
        return [f"{video}: ends no nearer to the goal than it began."]
    return []
