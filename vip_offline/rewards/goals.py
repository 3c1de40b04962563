"""What is to be reached: frames of the store, picture files, or words."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.storage.content_hash import DIGEST, content_of
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.rewards.nearest_goal import GoalSet

NEAREST = "nearest:successes"
FRAME_PATTERN = re.compile(r"(-?\d+):(-?\d+)")  # EPISODE:FRAME, from the end where negative
TEXT_PREFIX = "text:"
ASPECT = 0.02  # share by which a picture's sides may differ from the frames' before it is said


@dataclass(frozen=True)
class Picture:
    """A goal image from a file."""

    path: str
    frame: NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Stage:
    """One goal: the mean over all of these."""

    description: str  # for people
    rows: tuple[int, ...] = ()  # of the store
    pictures: tuple[Picture, ...] = ()
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goals:
    """A goal, or a sequence of them; without stages each episode's own last frame is its goal."""

    stages: tuple[Stage, ...]
    nearest: bool = False  # the nearest of the one stage's frames counts, not their mean

    @property
    def description(self) -> str:
        """The goals in words, for people."""
        return (
            ", then ".join(stage.description for stage in self.stages)
            or "each episode's own last frame"
        )

    @property
    def in_words(self) -> bool:
        """Whether one of the goals is a prompt."""
        return any(stage.prompts for stage in self.stages)

    def provenance(self) -> dict[str, Any]:
        """Return everything that identifies the goals, as JSON values."""
        described = [
            {
                "rows": list(stage.rows),
                "pictures": {
                    picture.path: content_of(picture.frame).tobytes().hex()
                    for picture in stage.pictures
                },
                "prompts": list(stage.prompts),
            }
            for stage in self.stages
        ]
        rows = [row for stage in self.stages for row in stage.rows]
        provenance = {"goal": self.description, "goal_rows": rows, "stages": described}
        # labels of earlier versions have no such key, and are still what they were
        return {**provenance, "nearest": True} if self.nearest else provenance


def success_rows(store: Store) -> list[int]:
    """Return the last row of every successful episode.

    The paper takes all demonstrations' last frames; of a failed one that picture shows anything
    but the goal, so failures are left out.

    Raises:
        VipOfflineError: if no episode succeeded.
    """
    success = store.meta("success")
    rows = [stop - 1 for (_, stop), good in zip(store.spans(), success, strict=True) if good]
    if not rows:
        raise VipOfflineError(
            f"{store.path}: none of its {len(success)} episodes succeeded, so none ends in a goal "
            "image. Record or import at least one success, or give another --goal: a picture "
            "file, EPISODE:FRAME or last."
        )
    return rows


def choose_goals(store: Store, goal: tuple[str, ...], stages: tuple[str, ...]) -> Goals:
    """Resolve the goal options: frames of the store, pictures (which are read) and prompts.

    Args:
        store: whose frames may be goals.
        goal: the mean is taken over all of them: ``successes``, ``EPISODE:FRAME``, a picture
            file, ``text:PROMPT``; or alone ``last``, each episode's own last frame, or
            ``nearest:successes``, frame by frame the nearest of the *other* successes' last frames.
        stages: goals to be reached one after the other, each with commas between its parts.

    Raises:
        VipOfflineError: on a frame that is not there, a picture that cannot be read, no success
            to take a goal from, or no other one for ``nearest:successes``.
    """
    if stages:
        return Goals(tuple(_stage(store, _parts(stage)) for stage in stages))
    if goal == ("last",):
        return Goals(())
    if goal == (NEAREST,):
        return _nearest_success(store)
    return Goals((_stage(store, [part for text in goal for part in _parts(text)]),))


def _nearest_success(store: Store) -> Goals:
    rows = success_rows(store)
    if len(rows) < 2:
        raise VipOfflineError(
            f"{store.path}: --goal {NEAREST} measures a success by the others' last frames, and "
            f"only 1 of its {len(store)} episodes succeeded. Record or import a second success, or "
            "use --goal successes or --goal last."
        )
    description = f"the nearest of the last frames of {len(rows)} successes, its own left out"
    return Goals((Stage(description, tuple(rows)),), nearest=True)


def _parts(text: str) -> list[str]:
    """Split at commas, which prompts and names of files that are there may hold."""
    if text.startswith(TEXT_PREFIX) or Path(text).exists():
        return [text]
    return [part.strip() for part in text.split(",")]


def read_pictures(goals: tuple[str, ...]) -> None:
    """Refuse picture files that do not exist, before the store is opened.

    Raises:
        VipOfflineError: see `_goal_picture`.
    """
    for part in (part for goal in goals for part in _parts(goal)):
        of_store = part in ("successes", "last", NEAREST) or FRAME_PATTERN.fullmatch(part)
        if not of_store and not part.startswith(TEXT_PREFIX):
            _goal_picture(part)


def _stage(store: Store, parts: list[str]) -> Stage:
    rows, pictures, prompts, descriptions = list[int](), list[Picture](), list[str](), list[str]()
    for part in parts:
        chosen = FRAME_PATTERN.fullmatch(part)
        if part == "successes":
            rows += (successes := success_rows(store))
            many = len(successes) > 1
            descriptions.append(
                f"the last frame{'s' * many} of {len(successes)} success{'es' * many}"
            )
        elif part == "last":
            raise VipOfflineError(
                "--goal last: is each episode's own last frame, so it can be no part of a mean or "
                "of a sequence. Give it alone."
            )
        elif part == NEAREST:
            raise VipOfflineError(
                f"--goal {NEAREST}: is another frame for each observation, so it can be no part of "
                "a mean or of a sequence. Give it alone."
            )
        elif chosen:
            rows.append(_row(store, int(chosen[1]), int(chosen[2])))
            descriptions.append(f"frame {part}")
        elif part.startswith(TEXT_PREFIX):
            prompts.append(part.removeprefix(TEXT_PREFIX).strip())
            descriptions.append(f"the words {prompts[-1]!r}")
        else:
            pictures.append(Picture(part, _goal_picture(part)))
            descriptions.append(f"picture {part}")
    among = " and ".join(descriptions)
    several = len(rows) + len(pictures) + len(prompts) > 1
    return Stage(
        f"the mean of {among}" if several else among, tuple(rows), tuple(pictures), tuple(prompts)
    )


def _row(store: Store, episode: int, frame: int) -> int:
    spans = store.spans()
    if not -len(spans) <= episode < len(spans):
        raise VipOfflineError(
            f"--goal {episode}:{frame}: {store.path} has episodes 0 to {len(spans) - 1}."
        )
    start, stop = spans[episode]
    if not start - stop <= frame < stop - start:
        raise VipOfflineError(
            f"--goal {episode}:{frame}: episode {episode} of {store.path} has frames 0 to "
            f"{stop - start - 1}."
        )
    return start + frame if frame >= 0 else stop + frame


def _goal_picture(path: str) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a picture file; what is no file may be a goal that is misspelt."""
    if not Path(path).is_file():
        hint = did_you_mean(path, ["successes", "last", NEAREST])
        raise VipOfflineError(
            f"--goal {path}: is no file.{hint} A goal is successes, {NEAREST}, last, "
            "EPISODE:FRAME, a picture file or text:PROMPT."
        )
    return read_picture(Path(path))


def other_view_note(name: str, picture: NDArray[np.uint8], height: int, width: int) -> str:
    """What to say of a goal picture of another shape than the frames, or "".

    Args:
        name: of the picture, in words.
        picture: (H, W, 3).
        height: of the frames.
        width: of the frames.
    """
    rows, columns = picture.shape[:2]
    if abs(columns / rows - width / height) <= ASPECT * width / height:
        return ""
    return (
        f"{name} has {columns} x {rows} px, the frames {width} x {height}: it shows another field "
        "of view, so no frame comes as near to it as it might."
    )


EmbedGoal = Callable[[Picture | str], NDArray[np.float32]]


def goal_embeddings(
    store: Store,
    goals: Goals,
    identity: Mapping[str, Any],
    camera: str,
    embed: EmbedGoal,
    keep: Callable[[str, NDArray[np.float32], dict[str, Any]], None],
) -> NDArray[np.float64] | None:
    """Return (K, D) goals, one per stage; None if each episode or each frame has its own.

    Args:
        store: whose embedding is complete.
        goals: which.
        identity: provenance of the encoder.
        camera: of the embedding; of ``a,b`` the goal is both, side by side.
        embed: computes a picture's or prompt's (D,) embedding where it was not kept.
        keep: hands over such an embedding, its hash and where it comes from.
    """
    if goals.nearest:
        return None
    encoder, means = str(identity["encoder"]), []
    for stage in goals.stages:
        embeddings: list[NDArray[np.float32]] = []
        if stage.rows:
            embeddings.extend(store.embedding_rows(encoder, camera, list(stage.rows)))
        sources: list[Picture | str] = [*stage.pictures, *stage.prompts]
        for source in sources:
            key = _key(source, identity)
            values = store.goal(encoder, key)
            if values is None:
                values = embed(source)
                origin = (
                    {"picture": source.path} if isinstance(source, Picture) else {"prompt": source}
                )
                keep(key, values, {**identity, **origin})
            # words say the same to every camera
            embeddings.append(np.tile(values, len(camera.split(","))))
        means.append(np.asarray(embeddings).mean(axis=0, dtype=np.float64))
    return np.stack(means) if means else None


def goal_set_of(store: Store, goals: Goals, encoder: str, camera: str) -> GoalSet:
    """Return the embedded goal frames of `nearest` goals; the embedding must be complete."""
    (stage,) = goals.stages
    ends = [stop for _, stop in store.spans()]
    episodes = np.searchsorted(ends, stage.rows, side="right")
    return GoalSet(store.embedding_rows(encoder, camera, list(stage.rows)), episodes)


def _key(goal: Picture | str, identity: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(
        json.dumps(dict(identity), sort_keys=True).encode(), digest_size=DIGEST
    )
    digest.update(content_of(goal.frame).tobytes() if isinstance(goal, Picture) else goal.encode())
    return digest.hexdigest()
