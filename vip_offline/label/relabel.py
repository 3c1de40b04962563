"""Choose the goal, apply the reward, write a labelling."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vip_offline import __version__
from vip_offline.data.store import Store, check_name, now, settings_of, writing
from vip_offline.encode.embed import embed_store
from vip_offline.encode.encoders import check_encoder, load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.label.rewards import goal_distance, mean_goal, potential_difference
from vip_offline.recipe import RelabelOptions


@dataclass(frozen=True)
class Relabelled:
    """What `relabel` did."""

    name: str
    embedded_frames: int  # now; the others were there
    goal_rows: tuple[int, ...]  # rows of the store whose mean embedding is the goal
    written: bool  # False: this very labelling was there already


def goal_rows(store: Store) -> list[int]:
    """Last row of every successful episode.

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
            "picture. Record or import at least one success."
        )
    return rows


def relabel(
    path: Path,
    options: RelabelOptions,
    *,
    overwrite: bool = False,
    on_start: Callable[[int], None] = lambda frames: None,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> Relabelled:
    """Embed what is not embedded, and write the rewards of Eq. 1 under a name.

    Args:
        path: the store.
        options: encoder, camera, name.
        overwrite: replace a labelling of this name that was made differently.
        on_start: called with the number of frames to embed, before the first.
        on_frames: called with the number of frames after each episode.

    Raises:
        VipOfflineError: if the store is unfinished, locked or not one, without a success, or
            holds another labelling or embedding under the name.
    """
    name = check_name("label", options.name or options.encoder)
    if options.batch_size < 1:
        raise VipOfflineError(f"--batch-size {options.batch_size}: must be at least 1.")
    check_encoder(options.encoder, options.weights)
    with writing(path) as store:
        store.require_finished()
        camera = store.camera(options.camera)
        rows = goal_rows(store)
        encoder = load_encoder(options.encoder, Path(options.weights) if options.weights else None)
        there = store.embedded(encoder.name, camera)
        lengths = np.array([stop - start for start, stop in store.spans()])
        on_start(int(lengths[~there].sum()))
        embedded = embed_store(store, encoder, camera, options.batch_size, on_frames)
        embedding, _ = store.embedding(encoder.name, camera)
        goal = mean_goal(embedding[rows])
        provenance = {
            **encoder.provenance,
            "camera": camera,
            "reward": "difference (Eq. 1)",
            "gamma": 1.0,
            "goal": "mean embedding of the last frames of successful episodes",
            "goal_rows": rows,
            "episodes": len(store),
        }
        result = Relabelled(name, embedded, tuple(rows), written=True)
        if name in store.label_names:
            before = settings_of(store.label_provenance(name))
            if before == provenance:
                return Relabelled(name, embedded, tuple(rows), written=False)
            differing = sorted(
                key for key in before.keys() | provenance if before.get(key) != provenance.get(key)
            )
            if not overwrite:
                raise VipOfflineError(
                    f"{path}: label {name!r} is there already and was made with other settings "
                    f"({', '.join(differing)}). Give another --name, or --overwrite to replace it."
                )
        spans = store.spans()
        distances = [goal_distance(embedding[start:stop], goal) for start, stop in spans]
        distance = np.concatenate(distances)
        reward = np.concatenate([potential_difference(each) for each in distances])
        store.write_label(
            name,
            reward.astype(np.float32),
            distance.astype(np.float32),
            provenance | {"code_version": __version__, "created": now()},
        )
        return result
