"""How often success from goal pictures is wrong, beside controls, and how long it takes.

``python -m benchmarks.success [--quick] [--store FOLDER] [--out FILE]`` records test beds of
simulated tasks (experts, and failures that move as cleanly as they do; without nuisances in the
pictures and with them, at level 1), draws 5 successes and 5 failures of each, learns a success
model from them, and judges all other episodes. Stores are kept under the folder and used again.
``--out`` writes the result of each task as JSON.

Beside the encoders stand controls: raw pixels, a random network, a clock (the episode's length) and
two scores of the motion alone, how smooth it is and how long its path.

Draws of a task share its episodes, and tasks are few. So the bound of false success is Student's
one-sided 95 % bound over the tasks' means, each over its draws; it is no less than Clopper's and
Pearson's of as many failed episodes as one draw of each task leaves over, as draws add no episode.
In `--quick` there is one task: a smoke test, and the latter bound.

Last line: one JSON object with

- ``fit_s``: seconds to learn from 100 episodes with cached embeddings, without imports;
- ``apply_us_per_frame``: of a frame beyond its embedding;
- ``false_success_upper``, ``true_success``: of lite0, share of failures called success (95 % upper
  bound) and of successes called success, at the nuisance level at which it is worse.
"""

import argparse
import contextlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import t

from vip_offline.dataset.store import Store, open_store
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.options import RecordOptions
from vip_offline.rewards.success.bounds import upper_bound
from vip_offline.rewards.success.calibration import GoalRows, Sample, choose_rule, fit
from vip_offline.rewards.success.rules import auc, edges, end_score, verdict
from vip_offline.rewards.success.stores import first_frames
from vip_offline.simulation.failures.clean import CleanKind
from vip_offline.simulation.record import record
from vip_offline.utils.console import Console
from vip_offline.utils.files import write_json

# all clean kinds of failure that the task can do; on none of these was the success model tuned
TASKS: Mapping[str, tuple[CleanKind, ...]] = {
    "door-close": ("undone",),
    "door-unlock": ("undone",),
    "drawer-open": ("stopped-short", "undone"),
    "handle-pull": ("undone",),
    "ogbench/button-press-drawer": ("undone", "wrong-object"),
    "ogbench/cube-move": ("wrong-place", "stopped-short", "undone"),
    "ogbench/drawer-open": ("stopped-short", "undone", "wrong-object"),
    "ogbench/window-close": ("stopped-short", "undone", "wrong-object"),
}
NUISANCE = ("light", "camera", "tint", "distractor")
ENCODERS = ("lite0", "vip-mini", "pixels", "random-resnet18")
QUICK = ("lite0", "pixels")
MOTION = ("clock", "smoothness", "path length")
HOLD, ERROR = 5, 0.05  # the command's defaults

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Bed:
    """Episodes of one task: what each side sees, and whether they succeeded."""

    name: str
    success: NDArray[np.bool_]
    embedded: Mapping[str, Sequence[Rows]]  # by encoder
    motion: Mapping[str, NDArray[np.float64]]  # (E,) by control; either end may be success


@dataclass(frozen=True)
class Drawn:
    """What one model said of the episodes that it did not see."""

    false_success: float
    true_success: float
    unsure: float
    auc: float


@dataclass(frozen=True)
class TaskResult:
    """One side on one task, over the draws."""

    task: str
    level: int  # of the nuisances
    side: str
    draws: int
    learned: int  # episodes of each class
    failures: int  # that one draw leaves over
    mean: Drawn


def bed(store: Store, name: str, encoders: Mapping[str, Encoder]) -> Bed:
    """Embed what is judged of each episode, its first frame and its last ones, and its motion."""
    (camera,) = store.cameras
    actions = [store.data("action", *span) for span in store.spans()]
    moves = [np.nan_to_num(action[:-1].astype(np.float64)) for action in actions]
    proprio = [store.data("proprio", *span).astype(np.float64) for span in store.spans()]
    motion = {
        "clock": np.array([float(len(action)) for action in actions]),
        "smoothness": np.array(
            [float(np.abs(np.diff(m, 2, axis=0)).mean()) if len(m) > 2 else 0.0 for m in moves]
        ),
        "path length": np.array(
            [float(np.linalg.norm(np.diff(p[:, :3], axis=0), axis=1).sum()) for p in proprio]
        ),
    }
    frames = np.concatenate(
        [
            store.frames(camera, *part)
            for start, stop in store.spans()
            for part in ((start, start + 1), (stop - HOLD, stop))
        ]
    )
    embedded = {side: np.split(encoder(frames), len(store)) for side, encoder in encoders.items()}
    return Bed(name, store.meta("success").astype(bool), embedded, motion)


def recorded(folder: Path, task: str, episodes: int, level: int, *, quick: bool) -> Store:
    """Record a test bed, where it is not there."""
    path = folder / f"{task.replace('/', '-')}-{level}.zarr"
    options = RecordOptions(
        task=task,
        episodes=episodes,
        failures=episodes // 2,
        failures_as=TASKS[task],
        image_size=64 if quick else 128,
        nuisance=NUISANCE if level else (),
        nuisance_level=level or 1,
    )
    if not path.exists() or not len(open_store(path)):
        record(path, options, processes=1 if quick else 2)  # each takes seconds to start
    return open_store(path)


def examples(
    rows: Sequence[Rows], success: NDArray[np.bool_], chosen: Sequence[int]
) -> tuple[list[Sample], GoalRows]:
    """What `success fit` learns from."""
    samples = [
        Sample(rows[index][-HOLD:], rows[index][0], bool(success[index]), int(index))
        for index in chosen
    ]
    good = [index for index in chosen if success[index]]
    goals = GoalRows(np.stack([rows[index][-1] for index in good]), np.array(good, np.int64))
    return samples, goals


def draw(success: NDArray[np.bool_], learned: int, generator: np.random.Generator) -> list[int]:
    """So many successes and as many failures."""
    return [
        int(index)
        for label in (True, False)
        for index in generator.choice(np.flatnonzero(success == label), learned, replace=False)
    ]


def judged(
    scores: NDArray[np.float64],
    band: tuple[float, float],
    success: NDArray[np.bool_],
    chosen: Sequence[int],
) -> Drawn:
    """Verdicts on the episodes that were not chosen."""
    rest = np.setdiff1d(np.arange(len(success)), chosen)
    verdicts = np.array([verdict(float(scores[index]), band) for index in rest])
    of = success[rest]
    return Drawn(
        float((verdicts[~of] == "success").mean()),
        float((verdicts[of] == "success").mean()),
        float((verdicts == "unsure").mean()),
        auc(scores[rest][of], scores[rest][~of]),
    )


def trial(test: Bed, side: str, chosen: list[int]) -> Drawn:
    """One draw of one side."""
    if side in test.motion:
        scores, of = test.motion[side], test.success[list(chosen)]
        if auc(scores[chosen][of], scores[chosen][~of]) < 0.5:
            scores = -scores
        seen = scores[chosen]
        return judged(scores, edges(seen[of], seen[~of], ERROR), test.success, chosen)
    rows = test.embedded[side]
    samples, goals = examples(rows, test.success, chosen)
    background = first_frames([row[0] for row in rows])  # as of a store that is mostly unlabelled
    rule, band = choose_rule(samples, goals, hold=HOLD, error=ERROR, background=background)
    scores = np.array([end_score(rule.scores(row[-HOLD:], row[0]), HOLD) for row in rows])
    return judged(scores, band, test.success, chosen)


def bound(rates: Sequence[float], failures: int) -> float:
    """One-sided 95 % bound over the tasks' rates; see the head of this file."""
    mean, n = float(np.mean(rates)), len(rates)
    of_episodes = upper_bound(math.ceil(mean * failures), failures)
    if n == 1:
        return of_episodes
    reach = float(t.ppf(0.95, n - 1) * np.std(rates, ddof=1) / math.sqrt(n))
    return max(of_episodes, min(1.0, mean + reach))


def speeds() -> tuple[float, float]:
    """Seconds of a fit from 100 episodes, and microseconds of a frame beyond its embedding."""
    generator = np.random.default_rng(0)
    success = np.arange(100) < 50
    rows = [
        generator.normal(size=(HOLD, 1280)).astype(np.float32) + 0.3 * float(good)
        for good in success
    ]
    few, goals = examples(rows, success, [*range(5), *range(50, 55)])
    fit(few, goals, hold=HOLD, error=ERROR)  # imports
    samples, goals = examples(rows, success, range(100))
    started = time.perf_counter()
    model = fit(samples, goals, hold=HOLD, error=ERROR)
    fit_s = time.perf_counter() - started
    frames = generator.normal(size=(2000, 1, 1280)).astype(np.float32)
    started = time.perf_counter()
    for frame in frames:
        model.rule.scores(frame, frame[0])
    return fit_s, (time.perf_counter() - started) / len(frames) * 1e6


def by_task(
    level: int,
    tasks: Sequence[str],
    folder: Path,
    encoders: Mapping[str, Encoder],
    *,
    learned: int,
    quick: bool,
) -> list[TaskResult]:
    """All sides on all tasks at one level of nuisance."""
    episodes, draws = (12, 2) if quick else (80, 50)
    results = []
    for task in tasks:
        test = bed(recorded(folder, task, episodes, level, quick=quick), task, encoders)
        left = int((~test.success).sum()) - learned
        for side in (*encoders, *MOTION):
            drawn = [
                trial(test, side, draw(test.success, learned, np.random.default_rng(number)))
                for number in range(draws)
            ]
            of = {
                field.name: float(np.mean([getattr(one, field.name) for one in drawn]))
                for field in fields(Drawn)
            }
            results.append(TaskResult(task, level, side, draws, learned, left, Drawn(**of)))
    return results


def summary(results: Sequence[TaskResult]) -> tuple[float, float]:
    """Upper bound of false success, and true success, of one side at one level."""
    rates = [result.mean.false_success for result in results]
    upper = bound(rates, sum(result.failures for result in results))
    return upper, float(np.mean([result.mean.true_success for result in results]))


def table_of(results: Sequence[TaskResult], level: int) -> Table:
    """A row per side."""
    tasks = len({result.task for result in results})
    number = results[0].learned
    title = f"{tasks} task(s) x {results[0].draws} draws of {number} + {number}, nuisance {level}"
    table = Table(box=None, title=title, width=80)
    for heading in ("side", "AUC", "false success", "at most (95 %)", "true success", "unsure"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for side in dict.fromkeys(result.side for result in results):
        of = [result for result in results if (result.side, result.level) == (side, level)]
        upper, true = summary(of)
        table.add_row(
            side,
            f"{np.mean([result.mean.auc for result in of]):.2f}",
            f"{np.mean([result.mean.false_success for result in of]):.0%}",
            f"{upper:.0%}",
            f"{true:.0%}",
            f"{np.mean([result.mean.unsure for result in of]):.0%}",
        )
    return table


def main() -> None:
    """Record, draw, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--tasks", default="", help="comma-separated")
    parser.add_argument("--learned", type=int, default=5, help="labelled episodes of each class")
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    options = parser.parse_args()
    quick = options.quick
    tasks = options.tasks.split(",") if options.tasks else [*TASKS][: 1 if quick else None]
    levels = (0,) if quick else (0, 1)
    fit_s, apply_us = speeds()
    encoders = {name: load_encoder(name) for name in (QUICK if quick else ENCODERS)}
    with contextlib.ExitStack() as stack:
        folder = options.store or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        results = [
            result
            for level in levels
            for result in by_task(
                level, tasks, folder, encoders, learned=options.learned, quick=quick
            )
        ]
    for level in levels:
        Console(width=80).print(table_of(results, level))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json({"results": [asdict(result) for result in results]}, options.out)
    ours = [
        summary([one for one in results if (one.side, one.level) == (ENCODERS[0], level)])
        for level in levels
    ]
    result = {
        "fit_s": round(fit_s, 3),
        "apply_us_per_frame": round(apply_us, 1),
        "false_success_upper": round(max(upper for upper, _ in ours), 4),
        "true_success": round(min(true for _, true in ours), 4),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
