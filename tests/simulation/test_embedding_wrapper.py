import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Space
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.simulation.embedding_wrapper import EmbedPixels
from vip_offline.simulation.gym_env import Metaworld

PICTURE = Box(0, 255, (4, 6, 3), np.uint8)
WIDE = Box(0, 255, (4, 8, 3), np.uint8)
JOINTS = Box(-1, 1, (2,), np.float32)


class Shown(gym.Env[Any, Any]):
    """Shows a sample of any space."""

    def __init__(self, space: Space[Any]) -> None:
        self.observation_space = space
        self.action_space = Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.last = self.observation_space.sample()
        return self.last, {"reset": True}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.last = self.observation_space.sample()
        return self.last, float(action[0]), bool(action[0] > 0.9), False, {"step": True}


def colours(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, H, W, 3) -> (N, 3): the mean colour."""
    assert frames.dtype == np.uint8
    return np.asarray(frames.mean(axis=(1, 2)), np.float32)


@pytest.fixture
def faultless() -> Iterator[None]:
    """Every warning of the checker is an error, but for the two that a wrapper cannot heed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        warnings.filterwarnings("ignore", message=".*Box observation space .* is -?infinity")
        yield


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.usefixtures("faultless")
def test_gymnasium_finds_no_fault_in_a_real_environment() -> None:
    encoder = load_encoder("vip-mini")
    with Metaworld("drawer-close", 64, horizon=5) as plain:
        wrapped = EmbedPixels(plain, encoder)
        space = plain.observation_space
        assert isinstance(space, Dict)
        assert wrapped.observation_space == Dict(
            {
                "embedding": Box(-np.inf, np.inf, (encoder.dim,), np.float32),
                "proprio": space["proprio"],
            }
        )
        check_env(wrapped, skip_render_check=True)
        seen, _ = plain.reset(seed=7)
        embedded, info = wrapped.reset(seed=7)
    np.testing.assert_array_equal(embedded["embedding"], encoder(seen["frame/corner"][None])[0])
    np.testing.assert_array_equal(embedded["proprio"], seen["proprio"])
    assert info["placement"] == 7


@pytest.mark.usefixtures("faultless")
@pytest.mark.parametrize(
    "space", [Dict({"frame": PICTURE, "proprio": JOINTS, "count": Discrete(4)}), PICTURE]
)
def test_gymnasium_finds_no_fault_in_a_dict_and_in_a_picture(space: Space[Any]) -> None:
    check_env(EmbedPixels(Shown(space), colours), skip_render_check=True)


def test_pictures_are_replaced_and_the_rest_is_kept() -> None:
    inner = Shown(Dict({"frame": PICTURE, "proprio": JOINTS, "count": Discrete(4)}))
    wrapped = EmbedPixels(inner, colours)
    for step in (False, True):
        if step:
            observation, reward, terminated, truncated, info = wrapped.step(np.ones(1, np.float32))
            assert (reward, terminated, truncated, info) == (1, True, False, {"step": True})
        else:
            observation, info = wrapped.reset(seed=0)
            assert info == {"reset": True}
        assert set(observation) == {"embedding", "proprio", "count"}
        expected = colours(inner.last["frame"][None])[0]
        np.testing.assert_array_equal(observation["embedding"], expected)
        np.testing.assert_array_equal(observation["proprio"], inner.last["proprio"])
        assert observation["count"] == inner.last["count"]
        assert observation in wrapped.observation_space
    assert wrapped.action_space == inner.action_space


def test_a_picture_alone_becomes_its_embedding() -> None:
    inner = Shown(PICTURE)
    wrapped = EmbedPixels(inner, colours)
    assert wrapped.observation_space == Box(-np.inf, np.inf, (3,), np.float32)
    observation, _ = wrapped.reset(seed=0)
    np.testing.assert_array_equal(observation, colours(inner.last[None])[0])


def test_several_pictures_are_embedded_in_the_order_asked_for() -> None:
    inner = Shown(Dict({"a": PICTURE, "b": WIDE, "proprio": JOINTS}))
    for keys, order in ((None, "ab"), (["b", "a"], "ba"), (["b"], "b")):
        wrapped = EmbedPixels(inner, colours, keys)
        observation, _ = wrapped.reset(seed=0)
        expected = np.concatenate([colours(inner.last[key][None])[0] for key in order])
        np.testing.assert_array_equal(observation["embedding"], expected)
        assert set(observation) == {"embedding", "proprio", *({"a", "b"} - set(order))}
        assert observation in wrapped.observation_space


def test_a_vector_of_them_works() -> None:
    space = Dict({"frame": PICTURE, "proprio": JOINTS})
    several = gym.vector.SyncVectorEnv([lambda: EmbedPixels(Shown(space), colours)] * 3)
    observation, _ = several.reset(seed=0)
    assert observation["embedding"].shape == (3, 3)
    assert observation in several.observation_space
    several.close()


def test_the_encoder_is_recorded_and_not_copied() -> None:
    """`env.spec` makes the wrapped environment again, with the one network."""
    inner = Shown(PICTURE)
    inner.spec = gym.envs.registration.EnvSpec("Shown-v0")
    spec = EmbedPixels(inner, colours).spec
    assert spec is not None
    kwargs = spec.additional_wrappers[-1].kwargs
    assert kwargs is not None
    assert kwargs["encoder"] is colours


@pytest.mark.parametrize(
    ("space", "keys", "message"),
    [
        (JOINTS, None, r"The observation is a Box of float32 \(2,\), not a picture"),
        (PICTURE, ["frame"], r"keys=\['frame'\]: the observation is a Box of uint8"),
        (Box(0, 255, (3, 4, 6), np.uint8), None, "not a picture: a Box of uint8"),
        (Dict({"a": JOINTS}), None, r"No picture at all.*'a' Box of float32 \(2,\)"),
        (Dict({"a": PICTURE}), [], "No picture at all"),
        (Dict({"a": PICTURE, "b": JOINTS}), ["b"], r"No picture 'b'.*'a' Box of uint8 \(4, 6, 3\)"),
        (Dict({"a": PICTURE}), ["wrist"], "No picture 'wrist'"),
        (Dict({"a": PICTURE}), ["a", "a"], "name each picture once"),
        (Dict({"a": Box(0, 1, (4, 6, 3), np.float32)}), None, "No picture at all"),
        (Dict({"a": PICTURE, "embedding": JOINTS}), None, "'embedding' already"),
    ],
)
def test_what_has_no_picture_is_refused(
    space: Space[Any], keys: list[str] | None, message: str
) -> None:
    with pytest.raises(VipOfflineError, match=message):
        EmbedPixels(Shown(space), colours, keys)


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.zeros((1, 3)), r"float64 \(1, 3\) of uint8 \(1, 4, 6, 3\)"),
        (np.zeros(3, np.float32), r"float32 \(3,\)"),
        (np.zeros((2, 3), np.float32), r"float32 \(2, 3\)"),
        (np.full((1, 3), np.nan, np.float32), "not finite"),
    ],
)
def test_what_is_no_embedding_is_refused(embedding: NDArray[Any], message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        EmbedPixels(Shown(Dict({"frame": PICTURE})), lambda frames: embedding)
