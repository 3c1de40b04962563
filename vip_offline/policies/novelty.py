"""How far a picture is from all that a policy was trained on, in embedding space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# embeddings that a policy folder holds: enough to say near or far, small enough to ship
REFERENCE_ROWS = 512
ORDINARY = 0.99  # this share of the training set counts as like the rest of it


@dataclass(frozen=True)
class TrainingEmbeddings:
    """A sample of the training set's embeddings, and the scale of the distances between them."""

    embedding: NDArray[np.float32]  # (M, D)
    # distance within which ORDINARY of them have a neighbour in *another* episode; 0: unknown
    scale: float


def pairwise_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) Euclidean."""
    # in double precision: the difference of large squares is what near neighbours differ by
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    squared = (a64**2).sum(1)[:, None] - 2 * a64 @ b64.T + (b64**2).sum(1)
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def training_embeddings(
    embedding: NDArray[np.float32], episode: NDArray[np.int64], most: int = REFERENCE_ROWS
) -> TrainingEmbeddings:
    """Sample embeddings of the training set and measure the scale of their distances.

    Frames of one episode resemble each other far more than those of the next trial will resemble
    any of them, so each is measured against the other episodes.

    Args:
        embedding: (N, D).
        episode: (N,) which one each row belongs to.
        most: rows that are kept, evenly spread over all.
    """
    rows = np.unique(np.linspace(0, len(embedding) - 1, min(most, len(embedding))).round())
    reference, of = embedding[rows.astype(int)], episode[rows.astype(int)]
    if len(np.unique(of)) < 2:
        return TrainingEmbeddings(reference, 0.0)
    apart = pairwise_distances(reference, reference)
    apart[of[:, None] == of] = np.inf
    return TrainingEmbeddings(reference, float(np.quantile(apart.min(axis=1), ORDINARY)))


def novelty(
    embedding: NDArray[np.float32], known: TrainingEmbeddings
) -> NDArray[np.float64] | None:
    """(N, D) -> (N,) distance to the nearest training embedding, in units of `scale`.

    Up to 1 is what 99 % of the training set are to its other episodes. None where that is unknown,
    from one episode or from embeddings that are all the same.
    """
    if not known.scale > 0:
        return None
    nearest: NDArray[np.float64] = pairwise_distances(embedding, known.embedding).min(axis=1)
    return nearest / known.scale
