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
# of the usual way: by which an end must lie away; by how much a start may; by which an episode must
# have gone. Chosen on Meta-World's push, by vip-mini; how much they find elsewhere is said in
# docs/guides/curation.md
ELSEWHERE, BEGINS, GONE = 0.15, 0.45, 0.25
SETTLED = 0.15  # of the usual way, over the last frames, up to which an episode has arrived
# share of the edges that all have, by which an episode must lack more than is usual: of 30 episodes
# by three cameras that stand still the most is 0.13; of push, by a camera that is turned by up to 8
# degrees, 4 of 4 lack 0.24 or more, by up to 4 degrees 3 of 4 are found, in another light none of 4
LOST = 0.15
FAINT = 0.5  # of an edge's usual strength, below which it is not there
STRONG = 0.85  # quantile of strength from which on an edge counts
ALIKE = 0.25  # of an edge's strength, by which half of the episodes differ at most
IN_COMMON = 0.02  # share of the picture that such edges are at least


@dataclass(frozen=True)
class Jump:
    """A frame that is unlike the one before."""

    row: int
    before: Floats  # (P,) edges of the frame before
    after: Floats  # (P,) of the frame itself


@dataclass(frozen=True)
class Scene:
    """What one episode's pictures begin and end with; None where there are none."""

    start: Floats | None  # (D,) embedding of the first frames
    end: Floats | None  # (D,) of the last ones
    before_end: Floats | None  # (D,) of as many before these
    early: Floats | None  # (P,) strength of the edges of what stands still in its first half
    late: Floats | None  # (P,) in its second half
    jump: Jump | None = None  # where the picture jumps from one frame to the next


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
    phrases, note = _moved_cameras(scenes)
    notes += [note] if note else []
    for words, phrase in zip(odd, phrases, strict=True):
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
    # what is as far off in its first frame shows another scene, not another goal
    odd &= from_start <= np.minimum(from_end, limit_of(from_start[usual], BEGINS * way))
    odd &= gone >= GONE * way
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


def _moved_cameras(scenes: Sequence[Scene]) -> tuple[list[str], str]:
    """Pictures whose edges lie elsewhere: from the first frame on, or from a jump on.

    A robot that stops hides edges in one half of an episode; a camera that stands elsewhere loses
    them in both.
    """
    phrases = [""] * len(scenes)
    pairs = [
        (scene.early, scene.late)
        for scene in scenes
        if scene.early is not None and scene.late is not None
    ]
    if len(pairs) < len(scenes):
        return phrases, ""
    halves = np.stack([np.stack(pair) for pair in pairs], axis=1)  # (2, E, P)
    strong, usual = common_edges(halves.mean(axis=0))
    if strong.mean() < IN_COMMON:
        return phrases, (
            "Moved cameras were not looked for: the pictures of the episodes have too little in "
            "common."
        )
    lost = lost_edges(halves, usual, strong).min(axis=0)
    limit = limit_of(lost, LOST)
    for index, scene in enumerate(scenes):
        jump = scene.jump
        # from one frame to the next a robot hardly moves
        gone = lost_edges(jump.after, jump.before, strong) if jump else 0.0
        if lost[index] > limit:
            phrases[index] = (
                f"camera moved: from its first frame on, {lost[index]:.0%} of the edges that the "
                f"rest have are not where they were (beyond {limit:.0%} is odd)"
            )
        elif jump and gone > LOST:
            phrases[index] = (
                f"camera moved: {gone:.0%} of the edges are elsewhere from frame {jump.row} on"
            )
    return phrases, ""


def common_edges(edges: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """(P,) which edges most of E episodes have alike, and how strong each usually is.

    Args:
        edges: (E, P).
    """
    usual = np.median(edges, axis=0)
    alike = np.median(np.abs(edges - usual), axis=0) <= ALIKE * usual
    return (usual >= np.quantile(usual, STRONG)) & alike, usual


def lost_edges(edges: Floats, usual: Floats, strong: NDArray[np.bool_]) -> Floats:
    """(..., P) edges and (P,) usual ones -> (...,) share of the strong ones that are not there."""
    missing = edges[..., strong] < FAINT * usual[strong]
    lost: Floats = missing.mean(axis=-1)
    return lost
