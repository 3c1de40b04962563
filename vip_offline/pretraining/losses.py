"""VIP, TCN and LSTD as functions of embeddings: tensors in, a loss out; nothing else is known here.

Everywhere the value is V(o; g) = -|phi(o) - phi(g)| and the reward of a step that does not start at
the goal is -1. A sub-trajectory of VIP and LSTD is (o_0, o_k, o_k+1, g), one of TCN three frames in
order of time; B of them make a batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def distance(a: Tensor, b: Tensor) -> Tensor:
    """(..., D), (..., D) -> (...): L2. Where both are one point its gradient is 0, not nan."""
    length: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
    return length


def log_mean_exp(values: Tensor) -> Tensor:
    """(N,) -> (): log of the mean of the exponentials, of values of any size without overflow."""
    return torch.logsumexp(values, dim=0) - math.log(len(values))


def one_step_error(now: Tensor, then: Tensor, goal: Tensor, gamma: float) -> Tensor:
    """(..., D) each -> (...): -(r + gamma V(o') - V(o)) = 1 + gamma d(o', g) - d(o, g).

    The sign is that of the paper's Eq. 4 and Algorithm 2 and of the released code. Eq. 6 and line 4
    of Algorithm 1 print d(o, g) + 1 - gamma d(o', g): descending that pushes o' *away* from the
    goal and pulls o towards it.
    """
    return 1 + gamma * distance(then, goal) - distance(now, goal)


def vip(
    start: Tensor,
    now: Tensor,
    then: Tensor,
    goal: Tensor,
    negatives: Tensor | None = None,
    *,
    gamma: float = 0.98,
    separate: bool = False,
) -> Tensor:
    """Value-Implicit Pre-training (Eq. 4; Algorithm 1, line 4, with its sign put right).

    Args:
        start: (B, D) embeddings of o_0.
        now: (B, D) of o_k.
        then: (B, D) of o_k+1.
        goal: (B, D) of g.
        negatives: (M, B) int64; row m says for each goal whose (o_k, o_k+1) to set against it, of
            another video. None: no negatives.
        gamma: discount (Table 2).
        separate: add a second logarithm for the negatives, as the released code does, in place of
            pooling them with the others in one, as appendix D.1 says.

    Returns:
        (): (1 - gamma) E[d(o_0, g)] + log E[exp(1 + gamma d(o_k+1, g) - d(o_k, g))].
    """
    attraction = (1 - gamma) * distance(start, goal).mean()
    errors = one_step_error(now, then, goal, gamma)
    if negatives is None or not len(negatives):
        return attraction + log_mean_exp(errors)
    negative_errors = one_step_error(now[negatives], then[negatives], goal, gamma).flatten()
    if separate:
        return attraction + log_mean_exp(errors) + log_mean_exp(negative_errors)
    return attraction + log_mean_exp(torch.cat([errors, negative_errors]))


def tcn(early: Tensor, middle: Tensor, late: Tensor, negatives: Tensor | None = None) -> Tensor:
    """Time-contrastive learning as R3M does it: frames near in time are near in the embedding.

    Two InfoNCE terms with the similarity -|a - b|. With `late` as the anchor, `middle` is its
    positive, `early` and the late frames of other videos are its negatives; with `early` as the
    anchor, `middle` is the positive, `late` and the early frames of others the negatives. R3M adds
    1e-8 inside both logarithms against underflow; a log-softmax needs none.

    Args:
        early: (B, D) embeddings of the first of the three frames.
        middle: (B, D) of the second.
        late: (B, D) of the third.
        negatives: (M, B) int64, which others' frames each anchor is set against.

    Returns:
        (): the mean over both terms and the batch.
    """
    return (
        _contrast(late, middle, early, negatives) + _contrast(early, middle, late, negatives)
    ) / 2


def _contrast(anchor: Tensor, positive: Tensor, far: Tensor, negatives: Tensor | None) -> Tensor:
    similar = [-distance(anchor, positive), -distance(anchor, far)]
    if negatives is not None:
        similar += [-distance(anchor, anchor[members]) for members in negatives]
    return -torch.log_softmax(torch.stack(similar), dim=0)[0].mean()


def lstd(now: Tensor, then: Tensor, goal: Tensor, *, gamma: float = 0.98) -> Tensor:
    """Least-squares temporal difference (Eq. 29): E[(r + gamma V(o') - V(o))^2].

    Eq. 29's gradient goes through both values; there is no target network.

    Args:
        now: (B, D) embeddings of o_k.
        then: (B, D) of o_k+1.
        goal: (B, D) of g.
        gamma: discount.
    """
    return one_step_error(now, then, goal, gamma).square().mean()


def penalty(embedding: Tensor, l1: float, l2: float) -> Tensor:
    """L1 and L2 norms of embeddings, weighted: what Table 2 calls a weight penalty.

    The released code penalises embeddings, not weights, by the norm and not by its square; Table 2
    lists L1 twice, of which one is L2.

    Args:
        embedding: (N, D).
        l1: weight of the mean L1 norm.
        l2: weight of the mean L2 norm.
    """
    city: Tensor = torch.linalg.vector_norm(embedding, ord=1, dim=-1)
    straight: Tensor = torch.linalg.vector_norm(embedding, dim=-1)
    return l1 * city.mean() + l2 * straight.mean()


def drift(embedding: Tensor, anchor: Tensor) -> Tensor:
    """How far embeddings have gone from those of the encoder that training began with.

    Args:
        embedding: (N, D).
        anchor: (N, D) of the same frames, by the frozen encoder.

    Returns:
        (): mean square distance, over the mean square length of the anchor's embeddings about their
        own mean: 1 is what collapse into that mean costs, 2 what it costs to shuffle the frames.
    """
    spread = (anchor - anchor.mean(dim=0)).square().sum(dim=-1).mean()
    return (embedding - anchor).square().sum(dim=-1).mean() / spread.clamp_min(1e-12)
