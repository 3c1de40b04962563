"""Embeddings instead of pictures, around any Gymnasium environment."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Space
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

EMBEDDING = "embedding"


class EmbedPixels(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Replace an environment's pictures by embeddings; see `encoders.encoder.load_encoder`.

    Give it the ``fit`` that `relabel` had, so that it sees of a frame what it saw there.

    A Dict loses its pictures, gains ``"embedding"``, a Box of (D,) float32, and keeps its other
    keys as they are. The embeddings of several pictures are put one after the other. An observation
    that is a picture becomes the Box itself.

    It is for one environment, and calls the encoder once per picture and step. A `SyncVectorEnv`
    of wrapped environments works, and embeds frame after frame; an `AsyncVectorEnv` of them takes
    ``context="spawn"``, since an encoder's threads do not survive a fork. ``vip-offline rollout``
    embeds the frames of many environments at once.

    Args:
        env: pictures are Boxes of uint8 (H, W, 3), RGB.
        encoder: (N, H, W, 3) uint8 -> (N, D) float32.
        keys: the pictures of a Dict to embed, in this order, such as ``["frame/corner"]``; by
            default all, in the order of the space. Those that are not named are kept.

    Raises:
        VipOfflineError: if there is no such picture, or the encoder returns anything else.
    """

    def __init__(
        self, env: gym.Env[Any, Any], encoder: Embed, keys: Sequence[str] | None = None
    ) -> None:
        # for env.spec; a copy of the encoder would be a second network in memory
        RecordConstructorArgs.__init__(self, _disable_deepcopy=True, encoder=encoder, keys=keys)
        gym.ObservationWrapper.__init__(self, env)
        self._encoder = encoder
        space = env.observation_space
        if not isinstance(space, Dict):
            if keys is not None:
                raise VipOfflineError(
                    f"keys={list(keys)}: the observation is a {_named(space)}, which has no keys. "
                    "Leave them out."
                )
            self._keys: tuple[str, ...] | None = None
            self.observation_space = _box(self._embed(_blank(space, "the observation")))
            return
        if EMBEDDING in space.spaces:
            raise VipOfflineError(
                f"The observation has a key {EMBEDDING!r} already. Wrap an environment once."
            )
        pictures = [key for key, subspace in space.spaces.items() if _is_picture(subspace)]
        self._keys = tuple(pictures if keys is None else keys)
        if not self._keys or not set(self._keys) <= set(pictures):
            spaces = ", ".join(
                f"{key!r} {_named(subspace)}" for key, subspace in space.spaces.items()
            )
            raise VipOfflineError(
                f"No picture {', '.join(map(repr, self._keys)) or 'at all'} in the observation; a "
                f"picture is a Box of uint8 (H, W, 3). Its keys: {spaces}."
            )
        if len(set(self._keys)) < len(self._keys):
            raise VipOfflineError(f"keys={list(self._keys)}: name each picture once.")
        blank = {key: _blank(space.spaces[key], repr(key)) for key in self._keys}
        other_spaces = {
            key: subspace for key, subspace in space.spaces.items() if key not in self._keys
        }
        self.observation_space = Dict(
            {EMBEDDING: _box(self._joined(blank, self._keys)), **other_spaces}
        )

    def observation(self, observation: Any) -> Any:
        """Replace the pictures of one observation."""
        if self._keys is None:
            return self._embed(observation)
        other_values = {key: value for key, value in observation.items() if key not in self._keys}
        return {EMBEDDING: self._joined(observation, self._keys), **other_values}

    def _joined(
        self, pictures: Mapping[str, NDArray[np.uint8]], keys: Sequence[str]
    ) -> NDArray[np.float32]:
        return np.concatenate([self._embed(pictures[key]) for key in keys])

    def _embed(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) -> (D,)."""
        embedding = self._encoder(picture[None])
        if embedding.ndim != 2 or len(embedding) != 1 or embedding.dtype != np.float32:
            raise VipOfflineError(
                f"The encoder made {embedding.dtype} {embedding.shape} of {picture.dtype} "
                f"{picture[None].shape}; it must return float32 (1, D)."
            )
        if not np.isfinite(embedding).all():
            raise VipOfflineError("The encoder returned an embedding that is not finite.")
        row: NDArray[np.float32] = embedding[0]
        return row


def _is_picture(space: Space[Any]) -> bool:
    return (
        isinstance(space, Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
    )


def _blank(space: Space[Any], name: str) -> NDArray[np.uint8]:
    """A black picture of the space."""
    if not _is_picture(space):
        raise VipOfflineError(
            f"{name[0].upper()}{name[1:]} is a {_named(space)}, not a picture: a Box of uint8 "
            "(H, W, 3)."
        )
    assert space.shape is not None
    return np.zeros(space.shape, np.uint8)


def _box(embedding: NDArray[np.float32]) -> Box:
    return Box(-np.inf, np.inf, embedding.shape, np.float32)


def _named(space: Space[Any]) -> str:
    return f"{type(space).__name__} of {space.dtype} {space.shape}"
