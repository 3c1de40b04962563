"""What a labelling took for the goal, as pictures that a page shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.scores import has_no_goal

PICTURES_SHOWN = 6  # pictures of a goal that is made of more
PICTURE_HEIGHT = 96  # px


@dataclass(frozen=True)
class GoalView:
    """A goal, or one stage of several."""

    name: str  # in words, as `relabel` says it
    pictures: tuple[tuple[str, NDArray[np.uint8]], ...]  # the first few: name, (h, w, 3) RGB
    count: int  # of all its pictures
    notes: tuple[str, ...] = ()  # of what cannot be shown: sentences


def goal_views(store: Store, camera: str, provenance: Mapping[str, Any]) -> tuple[GoalView, ...]:
    """The goal images of a labelling, a view per stage; none where others scored the frames.

    Args:
        store: that holds the labelling.
        camera: whose frames are shown; of ``a,b`` the first.
        provenance: of the labelling.

    Raises:
        VipOfflineError: if the video that a frame lies in is gone or was changed.
    """
    if has_no_goal(provenance):
        return ()
    stages = list(provenance.get("stages", ()))
    goal = str(provenance.get("goal", "the goal"))
    if not stages:  # each episode's own last frame
        rows = provenance.get("goal_rows") or [stop - 1 for _, stop in store.spans()]
        return (_view(store, camera, f"Goal: {goal}", {"rows": rows}),)
    names = goal.split(", then ")
    if len(names) != len(stages):  # words of a prompt look like the words between stages
        names = [goal] * len(stages)
    steps = [f", stage {place}" for place in range(1, len(stages) + 1)] if len(stages) > 1 else [""]
    return tuple(
        _view(store, camera, f"Goal{step}: {name}", stage)
        for step, name, stage in zip(steps, names, stages, strict=True)
    )


def goals_of(
    store: Store, provenances: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[str, tuple[GoalView, ...]], ...]:
    """Group labellings by their goal: views of each goal, with the names of its labellings.

    Raises:
        VipOfflineError: see `goal_views`.
    """
    shared: dict[str, list[str]] = {}
    for name, provenance in provenances.items():
        settings = {key: provenance.get(key) for key in ("camera", "goal", "goal_rows", "stages")}
        shared.setdefault(json.dumps(settings, sort_keys=True), []).append(name)
    return tuple(
        (
            ", ".join(names),
            goal_views(store, str(provenances[names[0]]["camera"]), provenances[names[0]]),
        )
        for names in shared.values()
    )


def _view(store: Store, camera: str, name: str, stage: Mapping[str, Any]) -> GoalView:
    camera = camera.split(",")[0]
    rows, files = list(stage["rows"]), dict(stage.get("pictures", {}))
    pictures, notes = list[tuple[str, NDArray[np.uint8]]](), list[str]()
    has_frames = camera in store.cameras
    if rows and not has_frames:
        notes.append(f"The frames of camera {camera} are not in the store.")
    ends = [stop for _, stop in store.spans()]
    for row in rows[:PICTURES_SHOWN] if has_frames else ():
        episode = int(np.searchsorted(ends, row, side="right"))
        frame = row - store.spans()[episode][0]
        pixels = store.frames(camera, row, row + 1)[0]
        pictures.append((f"episode {episode}, frame {frame}", _small(pixels)))
    for path, digest in files.items():
        pixels_or_why = _of_file(path, str(digest))
        if isinstance(pixels_or_why, str):
            notes.append(pixels_or_why)
        elif len(pictures) < PICTURES_SHOWN:
            pictures.append((path, _small(pixels_or_why)))
    return GoalView(name, tuple(pictures), len(rows) + len(files), tuple(notes))


def _of_file(path: str, digest: str) -> NDArray[np.uint8] | str:
    """Read the goal image from its file, or explain why it cannot be shown."""
    if not Path(path).is_file():
        return f"The picture {path} is gone; its embedding is in the store."
    try:
        pixels = read_picture(Path(path))
    except VipOfflineError as error:
        return f"The picture cannot be shown: {error}"
    if content_of(pixels).tobytes().hex() != digest:
        return f"The picture {path} was changed since it was the goal, so it is not shown."
    return pixels


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = pixels.shape[:2]
    if height <= PICTURE_HEIGHT:
        return pixels
    size = (max(1, round(width * PICTURE_HEIGHT / height)), PICTURE_HEIGHT)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
