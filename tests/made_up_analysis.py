"""An analysis that nobody ran, for the tests of its figures, its page and its table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.controls import clock_distance
from vip_offline.analysis.metrics import (
    Noise,
    bump_fraction,
    dense_fit,
    order_correlation,
    separation,
    signal,
)
from vip_offline.analysis.results import (
    Analysis,
    EpisodeView,
    Flag,
    HeavyTransition,
    Row,
    Weighting,
)
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.functions import potential_difference
from vip_offline.rewards.goal_views import GoalView
from vip_offline.training.weighting.weights import (
    effective_sample_size,
    n_step_return,
    regression_weights,
    return_to_go,
    tau_for,
)
from vip_offline.utils.arrays import Floats

LABELLINGS = ("lite0-dense", "vip", "r3m", "clip-prompt")
ODD = ("<b>bold</b>", "$x_1$ & \\$", "_名前 ünï", "a" * 70)
CONTROLS = ("raw pixels", "random network", "time")
FLAGS = (
    Flag("no-progress", "comes 2 % nearer, others 60 %"),
    Flag("repeated-frames", "7 frames in a row are the same", row=11),
    Flag("too-short", "3 frames, others 40"),
    Flag("black-frames", "1 frame", row=0),
)


def curve(length: int, end: float, rough: float, scale: float, rng: Any) -> Floats:
    """Distances that fall from `scale` to a share `end` of it, with bumps."""
    clean = 1 - (1 - end) * np.linspace(0, 1, length) ** 1.3
    noise = rough * rng.standard_normal(length)
    noise[0] = 0
    return np.asarray(scale * np.abs(clean + noise), np.float64)


def pictures(length: int, shown: int, rng: Any) -> NDArray[np.uint8]:
    """(K, 72, 96, 3): a square that goes to the right over a coloured ground."""
    shown = min(shown, length)
    ground = np.empty((72, 96, 3), np.uint8)
    ground[:] = rng.integers(60, 200, 3)
    ground[50:] //= 2
    frames = np.repeat(ground[None], shown, axis=0)
    for place, left in enumerate(np.linspace(4, 76, shown).astype(int)):
        frames[place, 34:50, left : left + 16] = (240, 220, 40)
    return frames


def make_weighting(
    weight_by: str,
    rewards: Sequence[Floats],
    success: NDArray[np.bool_],
    shown: NDArray[np.uint8] | None,
    target_ess: float = 0.1,
) -> Weighting:
    ahead = {"step": 1, "n-step": 20, "return": 0}[weight_by]
    score = np.concatenate(
        [n_step_return(each, ahead) if ahead else return_to_go(each) for each in rewards]
    )
    taus = np.logspace(-3, 3, 61) / (float(score.std()) or 1.0)
    try:
        tau = tau_for(score, target_ess)
    except VipOfflineError:
        tau = float("nan")
    lengths = [len(reward) for reward in rewards]
    weights = regression_weights(score, tau) if np.isfinite(tau) else np.ones(len(score))
    mine = np.repeat(success, lengths)
    told = success.any() and not success.all()
    heaviest: list[HeavyTransition] = []
    starts = np.cumsum([0, *lengths])
    for place in np.argsort(-weights, kind="stable")[:6] if np.isfinite(tau) else ():
        episode = int(np.searchsorted(starts, place, side="right")) - 1
        step = int(place - starts[episode])
        span = min(ahead or lengths[episode], lengths[episode] - step)
        heaviest.append(HeavyTransition(episode, step, span, float(weights[place]), shown))
    return Weighting(
        weight_by=weight_by,
        taus=taus,
        effective_sample_size=np.array(
            [effective_sample_size(regression_weights(score, float(each))) for each in taus]
        ),
        target_ess=target_ess,
        tau=tau,
        on_successes=float(weights[mine].sum() / weights.sum()) if told else float("nan"),
        of_successes=float(mine.mean()) if told else float("nan"),
        heaviest=tuple(heaviest),
    )


def make_row(
    name: str,
    distances: tuple[Floats, ...],
    success: NDArray[np.bool_],
    true_rewards: tuple[Floats, ...] | None = None,
    heavy: NDArray[np.uint8] | None = None,
    plane: bool = True,
    weightings: Sequence[str] = ("step", "n-step", "return"),
    **changed: Any,
) -> Row:
    rng = np.random.default_rng(5)
    closer = np.array([each[0] - each[-1] for each in distances])
    rewards = tuple(potential_difference(each)[:-1] for each in distances)
    known = [distance for distance in distances if np.isfinite(distance).all()]
    step = 0.02 * float(np.mean([each[0] for each in known])) if known else 0.0
    whole = len(known) == len(distances) and any(len(reward) for reward in rewards)
    points = tuple(
        np.column_stack([np.nan_to_num(each), rng.normal(0, 0.1, len(each)).cumsum()])
        for each in distances
    )
    fit = float("nan")
    if true_rewards is not None:
        fit = dense_fit(np.concatenate(rewards), np.concatenate(true_rewards))
    row = Row(
        name=name,
        control=False,
        made_of=f"{name}, camera front, goal: the last frames of successes",
        goal_from_others=True,
        distances=distances,
        own=tuple(np.abs(each - each[-1]) for each in distances),
        rewards=rewards,
        bumps=np.array([bump_fraction(each) for each in distances]),
        order=np.array([order_correlation(each) for each in distances]),
        came_closer=separation(closer, success),
        came_closer_moved=separation(
            np.where(success | (np.arange(len(success)) % 3 > 0), closer, np.nan), success
        ),
        agreement=0.31,
        noise=Noise(step, 40),
        signal={n: signal(known, n) for n in (1, 5, 20)},
        dense_fit=fit,
        weightings=tuple(make_weighting(by, rewards, success, heavy) for by in weightings)
        if whole
        else (),
        plane=points if plane else None,
        explained=(0.62, 0.17) if plane else None,
    )
    return dataclasses.replace(row, **changed)


def make_analysis(
    episodes: int = 12,
    frames: int = 30,
    names: Sequence[str] = LABELLINGS[:2],
    controls: int = 3,
    *,
    outcomes: str = "mixed",
    thumbnails: bool = True,
    one_frame: bool = False,
    odd: bool = False,
    true: bool = True,
    nan: bool = False,
    flagged: Sequence[int] = (1, 4),
    **changed: Any,
) -> Analysis:
    """Make an analysis.

    Args:
        episodes: E.
        frames: of an episode, about.
        names: of the labellings.
        controls: how many of `CONTROLS`.
        outcomes: "mixed", "successes" or "failures".
        thumbnails: whether there are pictures.
        one_frame: whether the last episode has a single one.
        odd: whether episodes, kinds, task and what rows are made of have names that bite.
        true: whether there is a true reward.
        nan: whether the first episode has no goal of others, and numbers are missing.
        flagged: suspicious episodes.
        changed: fields of the analysis.
    """
    rng = np.random.default_rng(0)
    success = {
        "mixed": np.arange(episodes) % 5 < 3,
        "successes": np.ones(episodes, bool),
        "failures": np.zeros(episodes, bool),
    }[outcomes]
    lengths = [frames + int(rng.integers(-frames // 5, frames // 5 + 1)) for _ in range(episodes)]
    if one_frame:
        lengths[-1] = 1
    shown = [pictures(length, 8, rng) if thumbnails else None for length in lengths]
    views = tuple(
        EpisodeView(
            index=index,
            name=ODD[index % len(ODD)] if odd else f"demo_{index}",
            kind=ODD[0] if odd else "expert" if success[index] else "stops short",
            success=bool(success[index]),
            frames=lengths[index],
            thumbnails=shown[index],
            flags=(FLAGS[index % len(FLAGS)],) if index in flagged else (),
        )
        for index in range(episodes)
    )
    true_rewards = tuple(rng.normal(0.1, 1, length - 1) for length in lengths) if true else None
    heavy = None if shown[0] is None else np.stack([shown[0][0], shown[0][-1]])
    rows = []
    for place, name in enumerate((*names, *CONTROLS[:controls])):
        control = place >= len(names)
        distances = tuple(
            curve(length, rng.uniform(0.05, 0.3) if good else rng.uniform(0.3, 1.0),
                  0.02 + 0.012 * place, 4.0 + 3 * place, rng)
            for length, good in zip(lengths, success, strict=True)
        )  # fmt: skip
        if name == "time":
            distances = clock_distance(lengths)
        if nan and name != "time":
            distances = (np.full(lengths[0], np.nan), *distances[1:])
        row = make_row(name, distances, success, true_rewards, None if control else heavy)
        row = dataclasses.replace(row, control=control)
        if odd:
            row = dataclasses.replace(row, made_of=f"{ODD[0]} {ODD[1]}")
        if name == "time":
            row = dataclasses.replace(
                row, own=(), plane=None, explained=None, agreement=float("nan"),
                noise=Noise(0.0, 0), made_of="the clock alone",
            )  # fmt: skip
        if nan:
            row = dataclasses.replace(
                row, noise=None, agreement=float("nan"), dense_fit=float("nan"),
                signal={n: float("nan") for n in row.signal},
            )  # fmt: skip
        rows.append(row)
    shot = ("episode 0, frame 29", pictures(30, 8, np.random.default_rng(1))[-1])
    named = (
        f"Goal, stage 1: {ODD[0]}" if odd else "Goal: the mean of the last frames of 7 successes"
    )
    goals = (
        (
            ", ".join(names),
            (GoalView(named, (shot, shot) if thumbnails else (), 7, ("One is gone.",)),),
        ),
    )
    analysis = Analysis(
        store="datasets/made-up.zarr",
        task=ODD[0] if odd else "drawer-close",
        episodes=views,
        rows=tuple(rows),
        true_rewards=true_rewards,
        left_out=() if true else ("No dense true reward is stored (Fig. 17-19).",),
        verdict="The reward of lite0-dense means progress on these demonstrations.",
        goals=goals,
        reasons=("It tells successes from failures.", "Raw pixels do so as well."),
    )
    return dataclasses.replace(analysis, **changed)
