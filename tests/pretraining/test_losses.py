from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from vip_offline.pretraining.losses import (
    distance,
    drift,
    log_mean_exp,
    lstd,
    one_step_error,
    penalty,
    tcn,
    vip,
)

Loss = Callable[..., Tensor]
# that a list of embeddings leaves room for negatives is more than their types say
VIP: Loss = vip
TCN: Loss = tcn
# (M, B), not symmetric: that b is set against a does not set a against b
NEGATIVES = torch.tensor([[1, 2, 3, 4, 0], [2, 0, 4, 1, 3], [4, 4, 0, 0, 1]])
LOSSES: dict[str, tuple[Loss, int]] = {  # and how many embeddings each takes
    "vip": (vip, 4),
    "vip, negatives": (lambda *frames: VIP(*frames, negatives=NEGATIVES), 4),
    "vip, separate": (lambda *frames: VIP(*frames, negatives=NEGATIVES, separate=True), 4),
    "tcn": (tcn, 3),
    "tcn, negatives": (lambda *frames: TCN(*frames, negatives=NEGATIVES), 3),
    "lstd": (lstd, 3),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def points(*values: float | tuple[float, ...]) -> Tensor:
    """(B, D) embeddings that ask for a gradient; numbers are embeddings of one dimension."""
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def embeddings(count: int, size: int = 5, dim: int = 3, scale: float = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    draws = scale * torch.randn(count, size, dim, generator=generator, dtype=torch.float64)
    return [draw.clone().requires_grad_() for draw in draws]


def arrays(frames: list[Tensor]) -> list[np.ndarray]:
    return [frame.detach().numpy() for frame in frames]


def apart(first: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(((first - other) ** 2).sum()))


def gradients(loss: Tensor, *frames: Tensor) -> list[list[float]]:
    """Of each frame's embeddings, one after the other."""
    return [gradient.flatten().tolist() for gradient in torch.autograd.grad(loss, frames)]


def test_vip_by_hand() -> None:
    # On a line with g = 0 and gamma = 1/2: o_0 = -3, o_k = 2, o_k+1 = 1, so d is 3, 2 and 1.
    #   (1 - 1/2) 3 + log exp(1 + 1/2 * 1 - 2) = 1.5 - 0.5 = 1
    # d(o_0, g) has weight 1/2, d(o_k+1, g) 1/2 and d(o_k, g) -1. From the goal, o_0 lies to the
    # left and the others to the right, so their gradients are -1/2, -1 and 1/2 and the goal's is
    # minus their sum. Descent moves o_0 to the right, towards the goal; o_k to the right, away;
    # o_k+1 to the left, towards it.
    frames = points(-3), points(2), points(1), points(0)
    loss = vip(*frames, gamma=0.5)
    assert loss.item() == 1
    assert gradients(loss, *frames) == [[-0.5], [-1], [0.5], [1]]


def test_eq_6_as_printed_does_the_opposite() -> None:
    start, now, then, goal = frames = points(-3), points(2), points(1), points(0)
    printed = 0.5 * distance(start, goal).mean() + log_mean_exp(
        distance(now, goal) + 1 - 0.5 * distance(then, goal)
    )
    # o_k to the left, towards the goal; o_k+1 to the right, away from it
    assert gradients(printed, *frames)[1:3] == [[1], [-0.5]]


def test_vip_weighs_pairs_by_their_exponentials() -> None:
    # Two goals at 0, gamma = 1/2; errors 1 + 1/2 * 0 - 1 = 0 and 1 + 1/2 * 2 - 2 = 0 weigh 1/2
    # each; were the second's o_k at 2 + log 3, its exponential is 1/3: weights 3/4 and 1/4.
    start, then, goal = points(0, 0), points(0, 2), points(0, 0)
    now = points(1, 2 + np.log(3))
    loss = vip(start, now, then, goal, gamma=0.5)
    assert loss.item() == pytest.approx(np.log((1 + 1 / 3) / 2))
    (gradient,) = gradients(loss, now)
    np.testing.assert_allclose(gradient, [-0.75, -0.25], atol=1e-12)


def test_negatives_are_pushed_as_pairs_of_the_video_itself_are() -> None:
    # Nothing of one's own counts: o_0, o_k, o_k+1 and g coincide per video, 0 and 4. Errors: own
    # 1 + 0 - 0 = 1 twice; negatives 1 + 4/2 - 4 = -1 twice. Pooled: log((2 e + 2 / e) / 4); the
    # share of each negative is w = e^-1 / (2 e + 2 e^-1). Seen from the goal 4, the pair at 0 lies
    # to the left: the gradient of o_k is +w (descent: further left, away), of o_k+1 -w/2.
    frames = [points(0, 4) for _ in range(4)]
    crossed = torch.tensor([[1, 0]])
    pooled = VIP(*frames, negatives=crossed, gamma=0.5)
    assert pooled.item() == pytest.approx(np.log((2 * np.e + 2 / np.e) / 4))
    share = np.exp(-1) / (2 * np.e + 2 / np.e)
    _, now, then, _ = gradients(pooled, *frames)
    np.testing.assert_allclose(now, [share, -share])
    np.testing.assert_allclose(then, [-share / 2, share / 2])
    # in a logarithm of their own: 1 - 1 = 0, and each has half the weight
    separate = VIP(*frames, negatives=crossed, gamma=0.5, separate=True)
    assert separate.item() == pytest.approx(0, abs=1e-12)
    _, now, then, _ = gradients(separate, *frames)
    np.testing.assert_allclose(now, [0.5, -0.5])
    np.testing.assert_allclose(then, [-0.25, 0.25])


@pytest.mark.parametrize("gamma", [0.98, 0.5])
@pytest.mark.parametrize("separate", [False, True])
def test_vip_against_its_formula(gamma: float, separate: bool) -> None:
    frames = embeddings(4)
    start, now, then, goal = arrays(frames)
    size = len(goal)
    attraction = np.mean([apart(start[i], goal[i]) for i in range(size)])

    def exponential(pair: int, aim: int) -> float:
        reward = -1
        value, following = -apart(now[pair], goal[aim]), -apart(then[pair], goal[aim])
        return float(np.exp(-(reward + gamma * following - value)))

    own = [exponential(i, i) for i in range(size)]
    others = [exponential(int(row[i]), i) for row in NEGATIVES for i in range(size)]
    plain = (1 - gamma) * attraction + np.log(np.mean(own))
    assert vip(*frames, gamma=gamma).item() == pytest.approx(plain, rel=1e-12)
    if separate:
        expected = plain + np.log(np.mean(others))
    else:
        expected = (1 - gamma) * attraction + np.log(np.mean(own + others))
    loss = VIP(*frames, negatives=NEGATIVES, gamma=gamma, separate=separate)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_the_discount_is_table_2s() -> None:
    frames = embeddings(4)
    assert torch.equal(vip(*frames), vip(*frames, gamma=0.98))
    assert torch.equal(lstd(*frames[1:]), lstd(*frames[1:], gamma=0.98))


def test_tcn_by_hand() -> None:
    # Early (-3, 0), middle (0, 4), late (3, 0): both anchors are 5 from the middle, 6 from each
    # other. Either term: log(1 + exp(5 - 6)). Its gradient is p = 1 / (1 + e) for the distance to
    # the positive, -p for that to the far frame. With the unit vectors:
    #   middle: p/2 ((3, 4)/5 + (-3, 4)/5) = p (0, 0.8)
    #   early:  p/2 ((1, 0) + (-3, -4)/5 + (1, 0)) = p (0.7, -0.4); late is its mirror image.
    # Descent moves the middle down, to the line through both anchors, and the anchors apart and
    # up: along the line to the middle early moves by 0.6 * -0.7 + 0.8 * 0.4 = -0.1 and the middle
    # by 0.8 * 0.8 = 0.64 towards early, so that the positive comes nearer on the whole.
    frames = points((-3, 0)), points((0, 4)), points((3, 0))
    loss = tcn(*frames)
    assert loss.item() == pytest.approx(np.log(1 + np.exp(-1)))
    p = 1 / (1 + np.e)
    expected = [[0.7 * p, -0.4 * p], [0, 0.8 * p], [-0.7 * p, -0.4 * p]]
    slopes = gradients(loss, *frames)
    np.testing.assert_allclose(slopes, expected, atol=1e-12)
    with torch.no_grad():
        early, middle, late = (
            frame - 0.1 * torch.tensor(slope) for frame, slope in zip(frames, slopes, strict=True)
        )
        assert distance(early, middle) < 5
        assert distance(late, middle) < 5
        assert distance(early, late) > 6


def test_tcn_pushes_anchors_from_other_videos() -> None:
    # All frames of one video at 0, of the other at 2: similarities 0, 0 and -2. Each of the four
    # terms is log(2 + e^-2) and gives the distance of both videos -w, w = e^-2 / (2 + e^-2); an
    # early or late frame is in two of the terms (anchor, negative), each of weight 1/4.
    frames = [points(0, 2) for _ in range(3)]
    loss = TCN(*frames, negatives=torch.tensor([[1, 0]]))
    assert loss.item() == pytest.approx(np.log(2 + np.exp(-2)))
    early, middle, late = gradients(loss, *frames)
    w = np.exp(-2) / (2 + np.exp(-2))
    np.testing.assert_allclose(early, [w / 2, -w / 2])  # descent: 0 goes left, 2 right
    np.testing.assert_allclose(late, [w / 2, -w / 2])
    assert middle == [0, 0]


@pytest.mark.parametrize("negatives", [None, NEGATIVES[:0], NEGATIVES])
def test_tcn_against_r3ms(negatives: Tensor | None) -> None:
    """As r3m/trainer.py writes it, with its epsilon."""
    frames = embeddings(3)
    s0, s1, s2 = arrays(frames)
    epsilon = 1e-8
    shuffles = [] if negatives is None else negatives.numpy().tolist()

    def similarity(first: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-np.linalg.norm(first - other, axis=-1)))

    negatives_0 = sum((similarity(s0, s0[shuffle]) for shuffle in shuffles), np.zeros(len(s0)))
    negatives_2 = sum((similarity(s2, s2[shuffle]) for shuffle in shuffles), np.zeros(len(s0)))
    near_2, near_0, ends = similarity(s2, s1), similarity(s0, s1), similarity(s2, s0)
    first = -np.log(epsilon + near_2 / (epsilon + ends + near_2 + negatives_2))
    second = -np.log(epsilon + near_0 / (epsilon + near_0 + ends + negatives_0))
    expected = ((first + second) / 2).mean()
    assert TCN(*frames, negatives=negatives).item() == pytest.approx(expected, rel=1e-6)


def test_lstd_by_hand() -> None:
    # g = 0, gamma = 1/2, o_k+1 = 1; the error e = 1 + 1/2 * 1 - d(o_k, g) has the gradients -1 and
    # 1/2 for o_k and o_k+1 to the right of the goal, e^2 has 2 e times those.
    # o_k = 2: e = -1/2, so 1 and -1/2: too far apart, o_k is pulled and o_k+1 pushed back.
    # o_k = 1: e = 1/2, so -1 and 1/2: not far enough apart.
    # o_k = 3/2: e = 0, and nothing moves.
    for place, loss, expected in [
        (2, 0.25, [[1], [-0.5], [-0.5]]),
        (1, 0.25, [[-1], [0.5], [0.5]]),
        (1.5, 0, [[0], [0], [0]]),
    ]:
        frames = points(place), points(1), points(0)
        value = lstd(*frames, gamma=0.5)
        assert value.item() == loss
        assert gradients(value, *frames) == expected


def test_lstd_against_eq_29() -> None:
    frames = embeddings(3)
    now, then, goal = arrays(frames)
    squares = [
        (-1 - 0.9 * apart(o_next, g) + apart(o, g)) ** 2
        for o, o_next, g in zip(now, then, goal, strict=True)
    ]
    assert lstd(*frames, gamma=0.9).item() == pytest.approx(np.mean(squares), rel=1e-12)


@every_loss
def test_gradients_are_those_of_the_values(name: str) -> None:
    loss, count = LOSSES[name]
    assert torch.autograd.gradcheck(loss, embeddings(count))


@every_loss
@pytest.mark.parametrize("scale", [1e4, 1e-4])
def test_no_overflow_in_single_precision(name: str, scale: float) -> None:
    loss, count = LOSSES[name]
    large = embeddings(count, scale=scale)
    single = [frame.detach().float().requires_grad_() for frame in large]
    value = loss(*single)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(*large).item(), rel=1e-4)
    for gradient in torch.autograd.grad(value, single):
        assert gradient.isfinite().all()
        assert gradient.any()


@every_loss
def test_frames_that_coincide_do_not_move(name: str) -> None:
    loss, count = LOSSES[name]
    frames = [torch.ones(5, 3, requires_grad=True) for _ in range(count)]
    value = loss(*frames)
    assert value.isfinite()
    for gradient in torch.autograd.grad(value, frames):
        assert not gradient.any()  # nan is true


def test_a_pair_that_ends_at_the_goal_moves_by_its_first_frame_only() -> None:
    # a fifth of what Algorithm 1 draws: o_k+1 is the goal, so d(o_k+1, g) = 0 has no direction
    start, now, goal = points((0, 3)), points((3, 4)), points((0, 0))
    then = goal.detach().clone().requires_grad_()
    loss = vip(start, now, then, goal, gamma=0.5)
    assert loss.item() == 0.5 * 3 + 1 - 5
    np.testing.assert_allclose(
        gradients(loss, start, now, then, goal),
        np.array([[0, 0.5], [-0.6, -0.8], [0, 0], [0.6, 0.8 - 0.5]]),
        atol=1e-12,
    )


def test_no_negatives() -> None:
    frames = embeddings(4)
    none = torch.zeros((0, 5), dtype=torch.int64)
    for separate in (False, True):
        assert torch.equal(VIP(*frames, negatives=none, separate=separate), vip(*frames))


def test_distance_and_error_keep_their_axes() -> None:
    now, then, goal = embeddings(3)
    stacked = one_step_error(now[None], torch.stack([then, now]), goal, 0.9)
    assert stacked.shape == (2, 5)
    assert torch.equal(stacked[0], 1 + 0.9 * distance(then, goal) - distance(now, goal))


def test_log_mean_exp() -> None:
    values = torch.tensor([0.0, np.log(2), np.log(6)], dtype=torch.float64)
    assert log_mean_exp(values).item() == pytest.approx(np.log(3))
    for shift in (1e4, -1e4):
        assert log_mean_exp(values + shift).item() == pytest.approx(np.log(3) + shift, rel=1e-12)
    assert log_mean_exp(torch.full((7,), 1e4)).item() == pytest.approx(1e4, rel=1e-6)
    assert log_mean_exp(torch.cat([values, values])).item() == pytest.approx(np.log(3))


def test_the_penalty_is_of_norms() -> None:
    embedding = points((3, -4), (0, 0))  # L1: 7 and 0; L2: 5 and 0, not 25
    assert penalty(embedding, 1, 0).item() == 3.5
    assert penalty(embedding, 0, 1).item() == 2.5
    assert penalty(embedding, 0.1, 10).item() == pytest.approx(0.35 + 25)
    # rows' share 1/2; at 0 nothing pulls
    (gradient,) = torch.autograd.grad(penalty(embedding, 1, 1), embedding)
    np.testing.assert_allclose(gradient, np.array([[0.5 + 0.3, -0.5 - 0.4], [0, 0]]))


def test_drift() -> None:
    anchor = embeddings(1, size=4, dim=3, scale=20)[0].detach() + 7
    assert drift(anchor, anchor).item() == 0
    collapsed = anchor.mean(dim=0).expand(4, 3)
    assert drift(collapsed, anchor).item() == pytest.approx(1)
    shuffled = [drift(anchor[list(order)], anchor).item() for order in permutations(range(4))]
    assert np.mean(shuffled) == pytest.approx(2)
    # by hand: the frames lie 2 from their mean, and went 3 and 0
    pair, moved = points((-2, 0), (2, 0)).detach(), points((-2, 3), (2, 0)).detach()
    assert drift(moved, pair).item() == pytest.approx((9 / 2) / 4)
    assert drift(5 * moved, 5 * pair).item() == pytest.approx((9 / 2) / 4)


def test_drift_of_frames_that_are_all_one_is_finite() -> None:
    still = torch.ones(4, 3)
    embedding = still.clone().requires_grad_()
    value = drift(embedding, still)
    assert value.item() == 0
    (gradient,) = torch.autograd.grad(value, embedding)
    assert not gradient.any()
    assert drift(embedding + 1, still).isfinite()
