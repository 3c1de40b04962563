"""Learn a success model from a store, and label a store by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.edits.success_labels import by_a_program, write_success
from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, SuccessFitOptions
from vip_offline.rewards.field_of_view import field_of_view
from vip_offline.rewards.goals import Picture, other_view_note
from vip_offline.rewards.label_provenance import (
    LazyEncoder,
    accept_changed_frames,
    embedding_identity,
)
from vip_offline.rewards.relabel import embed_missing
from vip_offline.rewards.success.calibration import LEAST, FirstFrames, GoalRows, Sample, fit
from vip_offline.rewards.success.model import (
    OF_EARLY_FRAMES,
    OF_PEOPLE,
    OF_PICTURES,
    SuccessModel,
)
from vip_offline.rewards.success.rules import OF_THE_FIRST, RULES, SUCCESS, UNSURE
from vip_offline.utils.console import Advance

EARLY = 10**9  # groups of goal pictures begin here
BACKGROUND = 200  # first frames, at most
Say = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """Verdicts on the unlabelled episodes of a store."""

    store: Path
    verdicts: dict[int, str]  # by episode
    scores: dict[int, float]
    labelled: int  # episodes that had a flag before, which stays
    written: bool


def fit_store(
    path: Path,
    options: SuccessFitOptions,
    *,
    advance: Advance = lambda amount=0, total=None: None,
    on_prepare: Say = lambda sentence: None,
    say: Say = lambda note: None,
) -> SuccessModel:
    """Learn a success model from a store's labelled episodes, or from goal pictures.

    Embeddings that are missing are computed and kept in the store.

    Args:
        path: of the store.
        options: encoder, camera, goal pictures, rule.
        advance: told the frames to embed in total, then those of each batch.
        on_prepare: called with a sentence before work of some seconds that is done once.
        say: called with what a user should know.

    Raises:
        VipOfflineError: if there are too few successes and goal pictures to learn from, or the
            store, the camera, the encoder or a picture is not what it should be.
    """
    wanted = RelabelOptions(
        encoder=options.encoder,
        weights=options.weights,
        camera=options.camera,
        fit=options.fit,
        backend=options.backend,
        device=options.device,
    )
    pictures = goal_pictures(options.goal)
    with writing(path) as writer:
        writer.require_finished()
        episodes = labelled_by_people(writer, say)
        _require_enough(writer, episodes, len(pictures))
        camera = writer.camera(options.camera)
        work = embedded(writer, wanted, camera, advance, on_prepare, say)
        making = embedding_identity(writer, work, [camera])
        height, width, _ = writer.frame_shape(camera)
        for picture in pictures:
            note = other_view_note(picture.path, picture.frame, height, width)
            if note:
                say(note)
        shown = np.array([work.embed(picture) for picture in pictures], np.float32)
        ends = Endings.of(writer, options.encoder, camera, options.hold)
    samples, goals, sides = _training_set(ends, episodes, shown, len(ends.last))
    names = _rules(options.rule, sides)
    fitted = fit(
        samples,
        goals,
        hold=options.hold,
        error=options.error,
        rules=names,
        background=first_frames([rows[0] for rows in ends.early]),
    )
    return SuccessModel.of(
        fitted,
        making=making,
        camera=camera,
        hold=options.hold,
        error=options.error,
        success_from=sides[0],
        failure_from=sides[1],
        store=str(path),
        task=str(open_store(path).attributes.get("task", "")),
        goal=f"{len(pictures)} goal pictures"
        if pictures
        else f"the last frames of {len(goals.embeddings)} successes",
    )


def goal_pictures(paths: Sequence[str]) -> list[Picture]:
    """Read goal pictures.

    Raises:
        VipOfflineError: if one is no file, or cannot be read.
    """
    for path in paths:
        if not Path(path).is_file():
            raise VipOfflineError(f"--goal {path}: is no file. Name a picture.")
    return [Picture(path, read_picture(Path(path))) for path in paths]


def labelled_by_people(store: Store, say: Say = lambda note: None) -> dict[int, bool]:
    """Success of the episodes that a person, or a data set's origin, labelled."""
    program = by_a_program(store)
    if program.any():
        say(f"{int(program.sum())} episodes that a success model labelled are not learned from")
    known = store.success_labelled & ~program
    success = store.meta("success")
    return {int(index): bool(success[index]) for index in np.flatnonzero(known)}


def _require_enough(store: Store, episodes: dict[int, bool], pictures: int) -> None:
    """Refuse what no band can be learned from, before an encoder is loaded."""
    successes, failures = sum(episodes.values()), len(episodes) - sum(episodes.values())
    if max(successes, pictures) < LEAST:
        raise VipOfflineError(
            f"{store.path}: {successes} of its {len(store)} episodes are labelled successes, "
            f"{failures} failures, and {pictures} goal pictures are given. It takes at least "
            f"{LEAST} successes, or {LEAST} goal pictures (--goal FILE); 5 successes and 5 "
            "failures are a beginning."
        )
    if len(store) < LEAST:
        raise VipOfflineError(
            f"{store.path}: has {len(store)} episodes; their early frames, or failed ones, are "
            f"what success is told from. It takes at least {LEAST}."
        )


def embedded(
    writer: StoreWriter,
    options: RelabelOptions,
    camera: str,
    advance: Advance,
    on_prepare: Say,
    say: Say,
) -> LazyEncoder:
    """Embed what is missing of a camera; returns the encoder for further pictures."""
    for reason in accept_changed_frames(writer, options.encoder, [camera]):
        say(reason)
    view = field_of_view(writer, options.encoder, [camera], options.fit)
    for note in view.notes:
        say(note)
    work = LazyEncoder(options, view.preprocessing, on_prepare)
    embedding_identity(writer, work, [camera])
    embed_missing(writer, work, [camera], advance)
    return work


@dataclass(frozen=True)
class Endings:
    """Of each episode of a store what a success model looks at."""

    last: list[NDArray[np.float32]]  # (K, D) the last `hold` frames, or fewer
    early: list[NDArray[np.float32]]  # (K, D) the first ones

    @classmethod
    def of(cls, store: Store, encoder: str, camera: str, hold: int) -> "Endings":
        """Read them, a block of episodes at a time."""
        last, early = list[NDArray[np.float32]](), list[NDArray[np.float32]]()
        for rows in episode_rows(store, encoder, camera):
            last.append(rows[-hold:].copy())
            early.append(rows[:hold].copy())
        return cls(last, early)


def episode_rows(store: Store, encoder: str, camera: str) -> Iterator[NDArray[np.float32]]:
    """(T, D) embeddings, episode by episode."""
    spans = store.spans()
    for episodes, rows in store.embedding_blocks(encoder, camera):
        begin = spans[episodes[0]][0]
        for index in episodes:
            start, stop = spans[index]
            yield rows[start - begin : stop - begin]


def _training_set(
    ends: Endings, episodes: dict[int, bool], shown: NDArray[np.float32], count: int
) -> tuple[list[Sample], GoalRows, tuple[str, str]]:
    """Samples, goals, and what the success and the failure side are.

    Pictures are goals; they are the successes, too, where too few episodes are labelled so. Early
    frames are the failures where too few episodes are: of the successes, or, where none is
    labelled, of all episodes.
    """
    successes = [index for index, success in episodes.items() if success]
    failures = [index for index, success in episodes.items() if not success]
    by_pictures, early = len(successes) < LEAST, len(failures) < LEAST
    samples = [
        Sample(ends.last[index], ends.early[index][0], episodes[index], index)
        for index in (*successes, *failures)
    ]
    if by_pictures:
        samples += [Sample(row[None], row, True, EARLY + place) for place, row in enumerate(shown)]
    if early:
        begun = successes if len(successes) >= LEAST else range(count)
        samples += [
            Sample(ends.early[index], ends.early[index][0], False, index) for index in begun
        ]
    if len(shown):
        groups = np.arange(len(shown)) + EARLY if by_pictures else np.full(len(shown), -1)
        goals = GoalRows(shown, groups.astype(np.int64))
    else:
        rows = np.stack([ends.last[index][-1] for index in successes])
        goals = GoalRows(rows, np.array(successes, np.int64))
    return (
        samples,
        goals,
        (
            OF_PICTURES if by_pictures else OF_PEOPLE,
            OF_EARLY_FRAMES if early else OF_PEOPLE,
        ),
    )


def first_frames(rows: Sequence[NDArray[np.float32]]) -> FirstFrames:
    """Those of a store's episodes, evenly over it where there are many.

    Args:
        rows: (D,) of each episode.
    """
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), BACKGROUND)).astype(np.int64))
    return FirstFrames(np.stack([rows[index] for index in chosen]), chosen)


def _rules(asked: str, sides: tuple[str, str]) -> Sequence[str]:
    """Rules to choose from: an early frame and a picture are no way from their own first frame."""
    possible = tuple(
        name for name in RULES if sides == (OF_PEOPLE, OF_PEOPLE) or name not in OF_THE_FIRST
    )
    if asked == "auto":
        return possible
    if asked not in possible:
        raise VipOfflineError(
            f"--rule {asked}: compares with an episode's first frame, so it takes labelled "
            f"successes and failures, {LEAST} of each. Leave the option out."
        )
    return (asked,)


def judge_store(
    path: Path,
    model: SuccessModel,
    by: str,
    options: RelabelOptions,
    *,
    write: bool,
    advance: Advance = lambda amount=0, total=None: None,
    on_prepare: Say = lambda sentence: None,
    say: Say = lambda note: None,
) -> Judged:
    """Judge the episodes of a store that nobody labelled, and flag those that are sure.

    Args:
        path: of the store.
        model: that judges.
        by: what labels, for the store.
        options: of the encoder, see `encoder_options`.
        write: the flags.
        advance: told the frames to embed in total, then those of each batch.
        on_prepare: called with a sentence before work of some seconds that is done once.
        say: called with what a user should know.

    Raises:
        VipOfflineError: if the store has not the model's camera, or embeddings by another encoder,
            other weights or another fit.
    """
    with writing(path) as writer:
        writer.require_finished()
        if model.camera not in writer.cameras:
            raise VipOfflineError(
                f"{path}: has no camera {model.camera!r}, by which the success model judges (it "
                f"has {', '.join(writer.cameras) or 'none'}). Fit a model on a store of this robot."
            )
        task = str(writer.attributes.get("task", ""))
        if task != model.task:
            say(f"{path}: its task is {task!r}, the success model's {model.task!r}")
        labelled = writer.success_labelled
        unlabelled = {int(index) for index in np.flatnonzero(~labelled)}
        verdicts, scores = dict[int, str](), dict[int, float]()
        if unlabelled:
            work = embedded(writer, options, model.camera, advance, on_prepare, say)
            making = embedding_identity(writer, work, [model.camera])
            model.require_making(making, str(path))
            every = episode_rows(writer, model.encoder, model.camera)
            for index, rows in enumerate(every):
                if index in unlabelled:
                    scores[index], verdicts[index] = model.score(rows), model.judge(rows)
        flags = {k: v == SUCCESS for k, v in verdicts.items() if v != UNSURE}
        if write:
            write_success(writer, flags, by)
    return Judged(path, verdicts, scores, int(labelled.sum()), write and bool(flags))


def encoder_options(model: SuccessModel, weights: str = "", **computing: Any) -> RelabelOptions:
    """Options that embed frames as the model's were."""
    return RelabelOptions(
        encoder=model.encoder,
        weights=weights,
        camera=model.camera,
        fit=fit_of(model.making),
        **computing,
    )
