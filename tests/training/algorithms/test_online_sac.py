from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.options import SacOptions
from vip_offline.training.algorithms.online_sac import FIRST_LOG_STD, OnlineSac

OPTIONS = SacOptions(hidden=(16,), batch_size=16, buffer=60)
MEAN, STD = np.array([1.0, -2.0, 0.0]), np.array([0.5, 3.0, 1.0])
SEEN = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def make(**options: object) -> OnlineSac:
    return OnlineSac(MEAN, STD, 2, 10.0, OPTIONS, 0, **options)  # type: ignore[arg-type]


def episode(seed: int, length: int = 20) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(length + 1, 3)).astype(np.float32),
        generator.uniform(-1, 1, (length, 2)).astype(np.float32),
        generator.normal(size=length),
    )


def offline_actor() -> dict[str, NDArray[np.float32]]:
    """Tensors as a policy folder has them, with two hidden layers."""
    generator = np.random.default_rng(5)
    shapes = {
        "hidden.0.weight": (6, 3),
        "hidden.0.bias": (6,),
        "hidden.1.weight": (4, 6),
        "hidden.1.bias": (4,),
        "out.weight": (2, 4),
        "out.bias": (2,),
    }
    # small enough that tanh is not flat
    tensors = {name: 0.3 * generator.normal(size=shape) for name, shape in shapes.items()}
    tensors |= {"mean": MEAN + 1, "std": 2 * STD, "action_low": np.array([-0.5, -1.0])}
    tensors |= {"action_high": np.array([0.5, 0.25])}
    return {name: values.astype(np.float32) for name, values in tensors.items()}


def acted(tensors: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """What the tensors say of `SEEN`, written out."""
    x = (SEEN - tensors["mean"]) / tensors["std"]
    for layer in range(sum(".bias" in name for name in tensors) - 1):
        x = np.maximum(0, x @ tensors[f"hidden.{layer}.weight"].T + tensors[f"hidden.{layer}.bias"])
    action = np.tanh(x @ tensors["out.weight"].T + tensors["out.bias"])
    if "action_low" in tensors:
        low, high = tensors["action_low"], tensors["action_high"]
        action = low + (action + 1) / 2 * (high - low)
    return np.asarray(action, np.float32)


def test_it_starts_as_the_offline_policy_acts_with_little_noise() -> None:
    actor = offline_actor()
    sac = make(actor=actor)
    np.testing.assert_allclose(sac.predict(SEEN), acted(actor), atol=1e-5)
    np.testing.assert_allclose(acted(sac.policy()), acted(actor), atol=1e-5)
    many = np.repeat(SEEN[:1], 4000, axis=0)
    shape = len(many), len(actor["action_low"])
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    # of what tanh and the range of actions are applied to
    low, high = actor["action_low"], actor["action_high"]
    inner = np.arctanh(
        np.clip(2 * (sac.sample(many, noise) - low) / (high - low) - 1, -0.9999, 0.9999)
    )
    spread = np.exp(FIRST_LOG_STD)
    assert np.median(np.abs(inner - np.median(inner, axis=0))) == pytest.approx(
        0.6745 * spread, rel=0.2
    )


def test_its_weights_are_its_mean_action() -> None:
    sac = make()
    sac.append(*episode(0))
    sac.begin(1)
    losses = sac.update(3)
    assert {"critic_loss", "actor_loss"} <= {*losses} and np.isfinite([*losses.values()]).all()
    np.testing.assert_allclose(acted(sac.policy()), sac.predict(SEEN), atol=1e-5)


def test_the_oldest_episodes_go_first() -> None:
    sac = make()
    for seed in range(4):
        sac.append(*episode(seed))
    kept = [observation for observation, *_ in sac._episodes]
    assert len(kept) == 3
    np.testing.assert_array_equal(kept[0], episode(1)[0])


def test_it_goes_on_bit_for_bit_with_the_episodes_appended_anew() -> None:
    whole, first = make(), make()
    for sac in (whole, first):
        sac.append(*episode(0))
        sac.begin(1)
        sac.update(4)
    second = make()
    second.append(*episode(0))
    second.restore({key: array.copy() for key, array in first.arrays().items()})
    for sac in (whole, second):
        sac.append(*episode(1))
        sac.begin(2)
        sac.update(4)
    for name, values in whole.policy().items():
        np.testing.assert_array_equal(values, second.policy()[name], err_msg=name)
    assert not np.array_equal(whole.policy()["out.bias"], first.policy()["out.bias"])


def test_an_action_does_not_depend_on_those_beside_it() -> None:
    sac = make()
    size = len(sac.predict(SEEN)[0])
    noise = np.random.default_rng(0).standard_normal((len(SEEN), size), np.float32)
    together = sac.sample(SEEN, noise)
    for row in range(len(SEEN)):
        alone = sac.sample(SEEN[row : row + 1], noise[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)
    np.testing.assert_allclose(sac.sample(SEEN, 0 * noise), sac.predict(SEEN), atol=1e-6)


@pytest.mark.slow
def test_it_learns_to_come_to_the_goal() -> None:
    from made_up_point_mass import PointMass

    options = SacOptions(hidden=(32,), batch_size=64, learning_rate=3e-3)
    sac = OnlineSac(np.zeros(3), np.ones(3), 1, 10.0, options, 0)
    generator = np.random.default_rng(0)
    for round_ in range(12):
        sac.begin(round_)
        tried, _ = PointMass().collect(
            lambda seen, times: sac.sample(
                seen, generator.standard_normal((len(seen), 1), np.float32)
            ),
            range(10 * round_, 10 * round_ + 10),
            20,
        )
        for trajectory in tried:
            sac.append(trajectory.observation, trajectory.action, trajectory.reward)
        sac.update(100)
    held_out, _ = PointMass().collect(
        lambda seen, times: sac.predict(seen), range(100_000, 100_050), 20
    )
    assert np.mean([trajectory.success for trajectory in held_out]) > 0.8
