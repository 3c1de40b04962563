"""Which frames make a batch: a function of the seed and of the step, and of nothing else.

So there is no sampler to save: training that goes on from step 700 draws what it would have drawn,
and of several processes each draws the whole batch and takes its share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.options import Objective, Sampling
from vip_offline.pretraining.image_nuisance import NUMBERS

Integers = NDArray[np.int64]

CROP_AREA = 0.2, 1.0  # share of the picture that a random crop keeps (R3M, VIP)
CROP_RATIO = 3 / 4, 4 / 3  # its width over its height
CROP_TRIES = 10  # at a crop that fits


@dataclass(frozen=True)
class Draw:
    """The sampled clips, frames, negatives and crops of one batch."""

    clips: Integers  # (B,)
    rows: Integers  # (B, F) frames of each clip, by the objective: `value_rows`, `triple_rows`
    negatives: Integers  # (M, B) for each member of the batch others of the batch
    crop_random: NDArray[np.float64]  # (B, TRIES, 4) of each member's crop: see `crop_box`
    goal_clips: Integers  # (B,) the clip that the last of the rows is of: its own, or another
    phases: NDArray[np.float64]  # (B, F) where in its clip each frame is, 0 the first, 1 the last
    # (B, 2, NUMBERS) of the member's image nuisance and of its goal's, which may be the same
    nuisance_random: NDArray[np.float64]


def generator(seed: int, step: int) -> np.random.Generator:
    """Return the random generator of one step."""
    return np.random.default_rng([seed, step])


def value_rows(
    lengths: Integers,
    random: np.random.Generator,
    *,
    released: bool = False,
    to_end: NDArray[np.bool_] | None = None,
) -> Integers:
    """(B,) lengths -> (B, 4) rows of o_0, o_k, o_k+1 and the goal (Algorithm 1, line 2).

    With rows counted from 0 and L frames: start from 0 to L - 2, goal from start + 1 to L - 1, k
    from start to goal - 1, each of equal chance. A clip of two frames gives (0, 0, 1, 1).

    Args:
        lengths: at least 2 each.
        random: where chance comes from.
        released: as the released code, whose start is never the last but one (unless there are
            two frames, of which it can make nothing).
        to_end: (B,) of which clips the goal is the last frame; None: of none.
    """
    last = np.maximum(lengths - (3 if released else 2), 0)
    start = random.integers(0, last, endpoint=True)
    goal = random.integers(start + 1, lengths - 1, endpoint=True)
    if to_end is not None:
        goal = np.where(to_end, lengths - 1, goal)
    now = random.integers(start, goal - 1, endpoint=True)
    return np.stack([start, now, now + 1, goal], axis=1)


def triple_rows(lengths: Integers, random: np.random.Generator) -> Integers:
    """(B,) lengths -> (B, 3) rows early < middle <= late, as R3M draws them, counted from 0.

    R3M's frames count from 1: middle from 2 to L - 1, early from 1 to middle - 1, late from middle
    to L. A clip of two frames gives (0, 1, 1).
    """
    middle = random.integers(1, np.maximum(lengths - 2, 1), endpoint=True)
    early = random.integers(0, middle - 1, endpoint=True)
    late = random.integers(middle, lengths - 1, endpoint=True)
    return np.stack([early, middle, late], axis=1)


def subsample(
    lengths: Integers, stride: int, random: np.random.Generator
) -> tuple[Integers, Integers, Integers]:
    """Keep every `stride`-th frame of each clip, from a uniformly random first one.

    From one frame of a fast camera to the next next to nothing changes, and a value that is to
    change by one step there fits what does: noise. A clip that is shorter keeps two frames.

    Returns:
        (B,) how many frames are left, which is the first of them, and how far they are apart.
    """
    if stride == 1:  # nothing is drawn: the frames are those that were drawn before there was this
        return lengths, np.zeros_like(lengths), np.ones_like(lengths)
    apart = np.minimum(stride, lengths - 1)
    first = random.integers(0, np.minimum(apart, lengths - apart))
    return (lengths - 1 - first) // apart + 1, first, apart


def negatives_from_other_videos(
    takes: Integers, count: int, random: np.random.Generator
) -> Integers:
    """(B,) takes -> (count, B) negatives: for each member of the batch members of other videos.

    Each is one of the members that show another take, of equal chance: another camera of the same
    one is no other video. A random permutation, as in the released code, leaves one member in its
    place on average and then sets a video against itself.

    Raises:
        VipOfflineError: if all of a batch show one take.
    """
    different = takes[:, None] != takes[None, :]
    options = different.sum(axis=1)
    if count and not options.all():
        raise VipOfflineError(
            f"A batch of {len(takes)} shows one clip only, or several cameras of one episode, so "
            "it has no negatives from other videos. Give more clips, a larger --batch-size, or "
            "--negatives 0."
        )
    if not count:
        return np.zeros((0, len(takes)), np.int64)
    pick = random.integers(0, np.broadcast_to(options, (count, len(takes))))
    # the pick-th True of each row
    rank = different.cumsum(axis=1)
    places: Integers = (rank[None] > pick[..., None]).argmax(axis=2)
    return places


def other_goals(
    clips: Integers,
    groups: Integers,
    takes: Integers,
    share: float,
    random: np.random.Generator,
) -> Integers:
    """(B,) clips -> (B,) clips whose last frames are their goals: others of their group, or -1.

    A goal picture that a user brings is of another episode than the one whose reward it gives.

    Args:
        clips: of the batch.
        groups: (C,) of all clips.
        takes: (C,) of all clips; no other camera of one's own take is another video.
        share: chance of another's goal; a clip without others in its group never has one.
        random: where chance comes from.
    """
    chosen, picks = random.uniform(size=len(clips)) < share, random.uniform(size=len(clips))
    out = np.full(len(clips), -1, np.int64)
    for member in np.flatnonzero(chosen):
        clip = clips[member]
        others = np.flatnonzero((groups == groups[clip]) & (takes != takes[clip]))
        if len(others):
            out[member] = others[int(picks[member] * len(others))]
    return out


def permutations(size: int, count: int, random: np.random.Generator) -> Integers:
    """(count, size) random permutations with fixed points, as in the released code."""
    if not count:
        return np.zeros((0, size), np.int64)
    return np.stack([random.permutation(size) for _ in range(count)])


def crop_box(
    crop_random: NDArray[np.float64], height: int, width: int
) -> tuple[int, int, int, int]:
    """Top, left, height and width in px of a random crop, as torchvision's RandomResizedCrop.

    Args:
        crop_random: (TRIES, 4) uniform in [0, 1): of each try area, ratio, place down and across.
        height: of the picture, px.
        width: px.

    Returns:
        The first try that fits into the picture; the largest crop in the middle whose ratio is
        within `CROP_RATIO`, if none does.
    """
    for area, ratio, down, across in crop_random:
        share = CROP_AREA[0] + area * (CROP_AREA[1] - CROP_AREA[0])
        shape = np.exp(
            np.log(CROP_RATIO[0]) + ratio * (np.log(CROP_RATIO[1]) - np.log(CROP_RATIO[0]))
        )
        high = round(float(np.sqrt(height * width * share / shape)))
        wide = round(float(np.sqrt(height * width * share * shape)))
        if 0 < high <= height and 0 < wide <= width:
            return int(down * (height - high + 1)), int(across * (width - wide + 1)), high, wide
    high = min(height, round(width / CROP_RATIO[0]))
    wide = min(width, round(height * CROP_RATIO[1]))
    return (height - high) // 2, (width - wide) // 2, high, wide


def draw(
    lengths: Integers,
    takes: Integers,
    seed: int,
    step: int,
    *,
    objective: Objective,
    batch_size: int,
    negatives: int,
    sampling: Sampling = "algorithm-1",
    stride: int = 1,
    groups: Integers | None = None,
    other_goal_share: float = 0.0,
    goal_nuisance_share: float = 0.0,
) -> Draw:
    """Sample one batch.

    Args:
        lengths: (C,) frames of all clips; which have equal chances, whatever their length.
        takes: (C,) what they show; see `Clips.takes`.
        seed: of the run.
        step: of it.
        objective: vip, tcn or lstd.
        batch_size: B, over all processes.
        negatives: M, for each member; LSTD has none. Frames and crops are the same for any M.
        sampling: of Algorithm 1 and appendix D.1, or of the released code.
        stride: frames from one to the next that the objective looks at; see `subsample`.
        groups: (C,) see `Clips.groups`; for goals of other clips.
        other_goal_share: chance that a goal is the last frame of another clip of the group.
        goal_nuisance_share: chance that a goal has an image nuisance of its own.

    Raises:
        VipOfflineError: see `negatives_from_other_videos`.
    """
    random = generator(seed, step)
    released = sampling == "released"
    if released:
        clips = random.integers(0, len(lengths), batch_size)
    elif batch_size <= len(lengths):  # D.1 samples "a set of videos"
        clips = random.choice(len(lengths), batch_size, replace=False)
    else:  # each as often as the others, so that two or more takes always give negatives
        clips = np.resize(random.permutation(len(lengths)), batch_size)
    # a stream of their own: without goals of others all else is drawn as before there were any
    apart_random = np.random.default_rng([seed, step, 1])
    others = np.full(batch_size, -1, np.int64)
    if other_goal_share and groups is not None:
        others = other_goals(clips, groups, takes, other_goal_share, apart_random)
    counts, first, apart = subsample(lengths[clips], stride, random)
    if objective == "tcn":
        rows = triple_rows(counts, random)
    else:
        rows = value_rows(counts, random, released=released, to_end=others >= 0)
    rows = first[:, None] + rows * apart[:, None]
    goal_clips = np.where(others < 0, clips, others)
    rows[:, -1] = np.where(others < 0, rows[:, -1], lengths[goal_clips] - 1)
    nuisance_random = apart_random.uniform(size=(batch_size, 2, NUMBERS))
    of_its_own = apart_random.uniform(size=batch_size) < goal_nuisance_share
    nuisance_random[~of_its_own, 1] = nuisance_random[~of_its_own, 0]
    crop_random = random.uniform(size=(batch_size, CROP_TRIES, 4))
    count = 0 if objective == "lstd" else negatives
    if released:
        members = permutations(batch_size, count, random)
    else:
        members = negatives_from_other_videos(takes[clips], count, random)
    phases = rows / (lengths[clips, None] - 1)
    phases[:, -1] = rows[:, -1] / (lengths[goal_clips] - 1)
    return Draw(
        clips.astype(np.int64), rows, members, crop_random, goal_clips, phases, nuisance_random
    )
