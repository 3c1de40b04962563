"""Episodes that aim at another goal than the rest, or whose camera moved: arrays in, words out.

An outlier lies `OUTLIER_DEVIATIONS` robust standard deviations beyond the median of the episodes
that are compared (Iglewicz and Hoaglin's rule, as in `analysis.episode_flags`), and by no less than
a share that is worth a word, as the median absolute deviation of a few values may be next to
nothing by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.episode_flags import NORMAL, OUTLIER_DEVIATIONS
from vip_offline.utils.arrays import Floats

ENOUGH = 5  # episodes, or successes, from which on what is usual can be said
ELSEWHERE = 0.25  # of the usual way, by which an end must lie away, and an episode must have gone
SETTLED = 0.15  # of the usual way, over the last frames, up to which an episode has arrived
SHIFTED = 0.2  # of the likeness of two pictures' edges, by which a camera's must be less


@dataclass(frozen=True)
class Scene:
    """What one episode's pictures begin and end with; None where there are none."""

    start: Floats | None  # (D,) embedding of the first frames
    end: Floats | None  # (D,) of the last ones
    before_end: Floats | None  # (D,) of as many before these
    edges: Floats | None  # (P,) strength of the edges of what stands still
    early: Floats | None  # (P,) of its first half
    late: Floats | None  # (P,) of its second half


def oddities_of(
    scenes: Sequence[Scene], success: NDArray[np.bool_]
) -> tuple[list[list[str]], list[str]]:
    """Per episode what is odd about it, and what was not looked for.

    Args:
        scenes: of E episodes.
        success: (E,), whether each succeeded; where fewer than `ENOUGH` did, all are compared.
    """
    odd: list[list[str]] = [[] for _ in scenes]
    notes = []
    usual = success if success.sum() >= ENOUGH else np.ones(len(scenes), bool)
    if len(scenes) < ENOUGH:
        notes.append(
            f"Other goals and moved cameras were not looked for: with {len(scenes)} episodes, "
            f"fewer than {ENOUGH}, nothing is usual."
        )
        return odd, notes
    for words, phrase in zip(odd, _moved_cameras(scenes), strict=True):
        words += [phrase] if phrase else []
    for words, phrase in zip(odd, _other_goals(scenes, usual), strict=True):
        words += [phrase] if phrase else []
    return odd, notes


def limit_of(values: Floats, least: float) -> float:
    """Beyond which a value is an outlier among these, and so by `least` or more."""
    usual = float(np.median(values))
    spread = NORMAL * float(np.median(np.abs(values - usual)))
    return usual + max(OUTLIER_DEVIATIONS * spread, least)


def _other_goals(scenes: Sequence[Scene], usual: NDArray[np.bool_]) -> list[str]:
    """Ends that are outliers of episodes that begin as all do, go as far and stop there."""
    phrases = [""] * len(scenes)
    parts = [
        np.stack([scene.start, scene.end, scene.before_end])
        for scene in scenes
        if scene.start is not None and scene.end is not None and scene.before_end is not None
    ]
    if len(parts) < len(scenes):
        return phrases
    starts, ends, before = np.stack(parts, axis=1)  # (E, D) each
    gone = np.linalg.norm(ends - starts, axis=1)
    way = float(np.median(gone[usual]))
    if way <= 0:
        return phrases
    from_start, from_end = (
        np.linalg.norm(rows - np.median(rows[usual], axis=0), axis=1) for rows in (starts, ends)
    )
    limit = limit_of(from_end[usual], ELSEWHERE * way)
    odd = from_end > limit
    odd &= from_start <= limit_of(from_start[usual], ELSEWHERE * way)
    odd &= gone >= ELSEWHERE * way
    odd &= np.linalg.norm(ends - before, axis=1) <= SETTLED * way
    for index in np.flatnonzero(odd):
        near = np.linalg.norm(ends - ends[index], axis=1) < min(limit, from_end[index])
        kin = [str(other) for other in np.flatnonzero(odd & near) if other != index]
        beside = f", as episode{'s' * (len(kin) > 1)} {', '.join(kin)} do" if kin else ""
        beside = beside.replace(" do", " does") if len(kin) == 1 else beside
        phrases[index] = (
            f"other goal than the rest: stops {from_end[index] / way:.2f} of the usual way from "
            f"where they end (beyond {limit / way:.2f} is far){beside}"
        )
    return phrases


def _moved_cameras(scenes: Sequence[Scene]) -> list[str]:
    """Pictures whose edges lie elsewhere: from the first frame on, or from one half on."""
    phrases = [""] * len(scenes)
    rows = [scene for scene in scenes if scene.edges is not None]
    if len(rows) < len(scenes):
        return phrases
    edges, early, late = (
        np.stack([getattr(scene, name) for scene in rows]) for name in ("edges", "early", "late")
    )
    unlike = 1 - likeness(edges, np.median(edges, axis=0))
    within = 1 - likeness(early, late)
    limits = limit_of(unlike, SHIFTED), limit_of(within, SHIFTED)
    for index in range(len(scenes)):
        if within[index] > limits[1]:
            phrases[index] = (
                f"camera moved: the edges of its first half and of its second are alike by "
                f"{1 - within[index]:.2f} (below {1 - limits[1]:.2f} is odd)"
            )
        elif unlike[index] > limits[0]:
            phrases[index] = (
                f"camera moved: its edges and those of the rest are alike by "
                f"{1 - unlike[index]:.2f} from its first frame on "
                f"(below {1 - limits[0]:.2f} is odd)"
            )
    return phrases


def likeness(rows: Floats, others: Floats) -> Floats:
    """(E,) correlation of (E, P) rows with (P,) or (E, P) others; 1 where both are even."""
    rows = rows - rows.mean(axis=-1, keepdims=True)
    others = others - others.mean(axis=-1, keepdims=True)
    sizes = np.linalg.norm(rows, axis=-1) * np.linalg.norm(others, axis=-1)
    products = (rows * others).sum(axis=-1)
    alike: Floats = np.where(sizes > 0, products / np.where(sizes > 0, sizes, 1), 1.0)
    return alike
