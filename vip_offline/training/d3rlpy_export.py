"""A labelled store -> a file that d3rlpy loads as a ReplayBuffer.

Observations are the embedding and, beside it, the robot's own state, raw; actions are those of the
store; rewards are the visual ones. As in training, an episode ends by timeout: d3rlpy makes T - 1
transitions of its T rows, and the last row's reward (0) belongs to none.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
from d3rlpy.dataset import EpisodeBase
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import (
    ExportResult,
    LabelledEpisode,
    LabelledStore,
)
from vip_offline.training.data.inputs import check_same_embeddings


class _Episodes(Sequence[EpisodeBase]):
    """Episodes in their order, made when d3rlpy asks for them and not kept."""

    def __init__(self, labelled: LabelledStore, on_episode: Callable[[int], None]) -> None:
        self._labelled, self._on_episode = labelled, on_episode

    def __len__(self) -> int:
        return len(self._labelled.store)

    def __iter__(self) -> Iterator[EpisodeBase]:
        for episode in self._made():
            yield episode
            self._on_episode(1)

    def __getitem__(self, index: Any) -> Any:
        """d3rlpy looks at the first for what an episode consists of."""
        return next(itertools.islice(self._made(), index, None))

    def _made(self) -> Iterator[EpisodeBase]:
        labelled, provenance = self._labelled, self._labelled.label.provenance
        blocks = labelled.store.embedding_blocks(provenance["encoder"], provenance["camera"])
        spans, demonstrations = labelled.store.spans(), labelled.episodes()
        for episodes, embedding in blocks:
            begin = spans[episodes[0]][0]
            for index in episodes:
                start, stop = spans[index]
                yield _episode(next(demonstrations), embedding[start - begin : stop - begin])


def _episode(demonstration: LabelledEpisode, embedding: NDArray[np.float32]) -> EpisodeBase:
    return d3rlpy.dataset.Episode(
        np.concatenate([embedding, demonstration.proprio], axis=1),
        # none was taken in the last observation: it belongs to no transition
        np.nan_to_num(demonstration.action),
        np.nan_to_num(demonstration.reward)[:, None],
        terminated=False,
    )


def write_d3rlpy(
    labelled: LabelledStore, path: Path, on_episode: Callable[[int], None]
) -> ExportResult:
    """Write what ``ReplayBuffer.load(file, InfiniteBuffer())`` reads.

    Raises:
        VipOfflineError: if there are no actions, or the label is of other embeddings.
    """
    labelled.require_actions("d3rlpy")
    store, label = labelled.store, labelled.label
    for camera in label.provenance["camera"].split(","):
        provenance = store.embedding_provenance(label.provenance["encoder"], camera) or {}
        check_same_embeddings(store.path, label, provenance)
    with path.open("w+b") as file:
        d3rlpy.dataset.dump(_Episodes(labelled, on_episode), file)
    notes = []
    first = np.nan_to_num(store.data("action", *store.spans()[0]))
    if (first == first.astype(np.int32)).all():
        notes.append(
            "actions of the first episode are whole numbers, which d3rlpy takes for discrete ones; "
            "load it as ReplayBuffer(InfiniteBuffer(), episodes=d3rlpy.dataset.load(d3rlpy.dataset"
            ".Episode, file), action_space=d3rlpy.ActionSpace.CONTINUOUS)"
        )
    return ExportResult(len(store), store.rows, tuple(notes))
