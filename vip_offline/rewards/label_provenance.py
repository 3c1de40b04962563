"""What a labelling was made from and by, and whether this very one exists already."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.read_hashes import LENGTHS, StaleError, episodes_in_words
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_format import OF_DATA, Attributes, settings_of
from vip_offline.dataset.store_settings import check_same_making
from vip_offline.dataset.store_writer import StoreWriter
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import check_encoder, known_provenance, provenance_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.rewards.goals import Goals, Picture
from vip_offline.rewards.progress_head import ProgressHead
from vip_offline.rewards.scores import Scores

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder


@dataclass
class LazyEncoder:
    """Loads the encoder if something must be embedded, once."""

    options: RelabelOptions
    preprocessing: Preprocessing
    on_prepare: Callable[[str], None]
    loaded: "Encoder | None" = field(default=None)

    def encoder(self) -> "Encoder":
        """Return the loaded encoder with the frames' preprocessing; loads it at the first call.

        Raises:
            VipOfflineError: if its weights are missing or damaged, or its backend cannot run.
        """
        if self.loaded is None:
            from vip_offline.encoders.encoder import load_encoder

            options = self.options
            weights = Path(options.weights) if options.weights else None
            self.loaded = load_encoder(
                options.encoder,
                weights,
                computing=options.computing,
                on_prepare=self.on_prepare,
                way_out="Use --backend torch.",
            )
        self.loaded = self.loaded.seeing(self.preprocessing)
        return self.loaded

    def embed(self, goal: Picture | str) -> NDArray[np.float32]:
        """Embed a goal image or a prompt; (D,) float32.

        Raises:
            VipOfflineError: if the encoder cannot be loaded, or has no text tower.
        """
        if isinstance(goal, Picture):
            embedding: NDArray[np.float32] = self.encoder()(goal.frame[None])[0]
            return embedding
        from vip_offline.encoders.text import embed_text

        return embed_text(self.options.encoder, goal, self.options.weights)


def accept_changed_frames(store: StoreWriter, encoder: str, cameras: list[str]) -> list[str]:
    """Accept changed frames; returns which embeddings are recomputed and why, in words."""
    again = []
    for camera in cameras:
        changed = {*store.accept_frames(camera)}
        outdated = [int(index) for index in np.flatnonzero(store.outdated(encoder, camera))]
        for why, episodes in (
            (f"frames of camera {camera} changed", [k for k in outdated if k in changed]),
            (
                f"the embedding of camera {camera} is not what was computed",
                [k for k in outdated if k not in changed],
            ),
        ):
            if episodes:
                verb = "are" if len(episodes) > 1 else "is"
                again.append(f"{episodes_in_words(episodes)} {verb} embedded again: {why}")
    return again


def sources_of(
    options: RelabelOptions,
    goals: Goals,
    cameras: list[str],
    scores: Scores | ProgressHead | None = None,
) -> list[str]:
    """Return the arrays that a labelling is computed from, as `read_hashes.reads` names them."""
    sources = [LENGTHS, *(f"embeddings/{options.encoder}/{camera}" for camera in cameras)]
    requested = ",".join((*options.goal, *options.stages))
    if scores is not None:
        sources += scores.columns
    elif goals.nearest or "successes" in requested:
        sources.append("meta/success")
    if options.reward == "success" and "data/succeeded" not in sources:
        sources.append("data/succeeded")
    return sources


def existing_label(
    store: Store, name: str, provenance: Attributes, *, overwrite: bool
) -> tuple[bool, str]:
    """Return whether this labelling exists, and if it is outdated, why.

    Raises:
        VipOfflineError: if another one has its name, unless that is to be replaced.
    """
    if name not in store.label_names:
        return False, ""
    before = settings_of(store.label_provenance(name))
    keys = sorted(before.keys() | provenance.keys())
    differing = [key for key in keys if before.get(key) != provenance.get(key)]
    if "asked" not in before:  # by an earlier release
        differing = [key for key in differing if key != "asked"]
    same_asked = before.get("asked") == provenance["asked"]
    settings = [key for key in differing if key not in OF_DATA or not same_asked]
    settings = [key for key in settings if key != "asked" or len(settings) == 1]
    if settings and not overwrite:
        raise VipOfflineError(
            f"{store.path}: label {name!r} is there already and was made with other settings "
            f"({', '.join(settings)}). Give another --name, or --overwrite to replace it."
        )
    if settings:
        return False, ""
    try:
        store.label(name)
    except StaleError as error:
        return False, error.reason
    except VipOfflineError:
        return False, "what was there is damaged"
    return not differing, "its goal changed with the data" if differing else ""


def embedding_identity(store: Store, work: LazyEncoder, cameras: list[str]) -> Attributes:
    """Return the provenance of the embeddings; existing ones must have the same.

    Raises:
        VipOfflineError: if another encoder's lie under this name.
    """
    options = work.options
    stored = store.embedding_provenance(options.encoder, cameras[0])
    complete = all(store.embedded(options.encoder, camera).all() for camera in cameras)
    if options.weights or not complete:
        check_encoder(options.encoder, options.weights)
    if work.loaded is not None:
        identity: Attributes | None = work.encoder().provenance
    else:
        identity = known_provenance(options.encoder, options.weights, work.preprocessing)
    if identity is None and complete and stored is not None:
        # the weights are not here, but what they gave is
        sha256 = str(stored.get("weights_sha256"))
        identity = provenance_of(options.encoder, sha256, work.preprocessing)
    if identity is None:
        identity = work.encoder().provenance
    for camera in cameras:
        existing = store.embedding_provenance(options.encoder, camera)
        if existing is not None:
            key = f"embeddings/{options.encoder}/{camera}"
            check_same_making(store.path, key, existing, identity)
    return identity


def label_settings(
    identity: Attributes,
    options: RelabelOptions,
    goals: Goals,
    camera: str,
    episodes: int,
    scores: Scores | ProgressHead | None = None,
) -> dict[str, Any]:
    """Provenance of a labelling: encoder, camera, goal, reward and only the settings it uses."""
    similarity = options.similarity
    if similarity == "auto":
        # between words and pictures CLIP compares directions; lengths mean nothing
        similarity = "cosine" if goals.in_words else "l2"
    used: dict[str, Any] = {"reward": options.reward, "similarity": similarity}
    if options.n_steps > 1:
        used["n_steps"] = options.n_steps
    if options.reward == "shaping":
        used["gamma"] = options.gamma
    if options.stages or options.reward == "sparse":
        used["reach"] = options.reach
    requested = {"goal": list(options.goal), "stages": list(options.stages)}
    described = {**goals.provenance(), "asked": requested}
    if scores is not None:
        asked = {"from": options.from_, "key_map": list(options.key_map)}
        asked |= {"stages": list(options.stages)} if options.stages else {}
        described = {**Goals(()).provenance(), "goal": scores.description, "asked": asked}
        described |= scores.provenance
        if goals.stages:  # of a head; the rows are what was asked, and may change with the data
            files = [stage | {"rows": []} for stage in goals.provenance()["stages"]]
            described["from"] = {**described["from"], "stages": files}
        used["similarity"] = "none"
    return {**identity, "camera": camera, **used, **described, "episodes": episodes}
