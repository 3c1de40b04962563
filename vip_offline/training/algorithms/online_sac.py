"""d3rlpy's soft actor-critic on episodes that its own policy makes.

d3rlpy's `fit_online` steps one environment after another and cannot go on where it stopped. Here
the caller makes the episodes, of many environments at once, and d3rlpy takes its gradient steps on
them: its networks, its losses, its `update`.
"""

import io
from collections import deque
from collections.abc import Mapping
from typing import Any

import d3rlpy
import numpy as np
import torch
from d3rlpy.algos import SACConfig
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.preprocessing import (
    MinMaxActionScaler,
    MultiplyRewardScaler,
    StandardObservationScaler,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from vip_offline.options.online import SacOptions
from vip_offline.policies.policy import HIGH, LOW
from vip_offline.training.algorithms.replay_buffer import vector_buffer

Arrays = dict[str, NDArray[Any]]  # of a checkpoint
# deviation of the actions that a policy from elsewhere begins to try, before tanh: small, since it
# knows something already, and a critic that knows nothing would have it unlearn that
FIRST_LOG_STD = -2.0


class OnlineSac:
    """Actor, critics, temperature, and the episodes that they learn from."""

    def __init__(
        self,
        mean: NDArray[np.floating[Any]],
        std: NDArray[np.floating[Any]],
        action_size: int,
        reward_scale: float,
        options: SacOptions,
        seed: int,
        actor: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Make the networks.

        Args:
            mean: (D,) of the inputs; they are standardised by it from now on.
            std: (D,) likewise.
            action_size: A.
            reward_scale: that rewards are multiplied by: SAC weighs them against entropy.
            options: of training.
            seed: of the first weights.
            actor: tensors of a policy folder (see `policies.policy`) to start from; they bring
                their own scaling of inputs and actions.
        """
        self._options = options
        widths, action_scaler = list(options.hidden), None
        if actor is not None:
            mean, std = actor["mean"], actor["std"]
            widths = [len(actor[name]) for name in hidden_biases(actor)]
            if LOW in actor:
                action_scaler = MinMaxActionScaler(minimum=actor[LOW], maximum=actor[HIGH])
        self._algo = SACConfig(
            batch_size=options.batch_size,
            gamma=options.gamma,
            actor_learning_rate=options.learning_rate,
            critic_learning_rate=options.learning_rate,
            temp_learning_rate=options.learning_rate,
            initial_temperature=options.initial_temperature,
            actor_encoder_factory=VectorEncoderFactory(hidden_units=widths),
            critic_encoder_factory=VectorEncoderFactory(hidden_units=list(options.hidden)),
            # a policy's own deviation holds what d3rlpy adds to it already
            observation_scaler=StandardObservationScaler(
                mean=np.asarray(mean, np.float32), std=np.asarray(std, np.float32), eps=0.0
            ),
            action_scaler=action_scaler,
            reward_scaler=MultiplyRewardScaler(multiplier=reward_scale),
        ).create()
        d3rlpy.seed(seed)
        self._algo.create_impl((len(mean),), action_size)
        self._episodes: deque[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = deque()
        self._scaling = {"mean": np.asarray(mean, np.float32), "std": np.asarray(std, np.float32)}
        if actor is not None:
            self._scaling |= {key: actor[key] for key in (LOW, HIGH) if key in actor}
            self._start_from(actor)

    def _layers(self) -> tuple[list[nn.Linear], nn.Linear, nn.Linear]:
        """Hidden layers, that of the mean, and that of the logarithm of the deviation."""
        assert self._algo.impl is not None
        modules = self._algo.impl.policy.modules()
        *hidden, mean, log_std = [module for module in modules if isinstance(module, nn.Linear)]
        return hidden, mean, log_std

    def _start_from(self, actor: Mapping[str, NDArray[np.float32]]) -> None:
        hidden, mean, log_std = self._layers()
        names = [name.removesuffix(".bias") for name in hidden_biases(actor)]
        for name, layer in zip((*names, "out"), (*hidden, mean), strict=True):
            for key, values in layer.named_parameters():
                _fill(values, actor[f"{name}.{key}"])
        _fill(log_std.weight, np.zeros(log_std.weight.shape, np.float32))
        _fill(log_std.bias, np.full(log_std.bias.shape, FIRST_LOG_STD, np.float32))

    def begin(self, seed: int) -> None:
        """All that is drawn from now on follows from this seed: d3rlpy draws from global ones."""
        d3rlpy.seed(seed)

    def sample(
        self, observation: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, D) -> (B, A) actions of the policy, as (B, A) standard normal noise draws them.

        d3rlpy's `sample_action` draws by its place in the batch, so that an episode would depend on
        those beside it.
        """
        impl, config = self._algo.impl, self._algo.config
        assert impl is not None and config.observation_scaler is not None
        with torch.no_grad():
            rows = config.observation_scaler.transform(torch.from_numpy(observation))
            output = impl.policy(rows)
            assert output.logstd is not None
            action = torch.tanh(output.mu + output.logstd.exp() * torch.from_numpy(noise))
            if config.action_scaler is not None:
                action = config.action_scaler.reverse_transform(action)
        return np.asarray(action.numpy(), np.float32)

    def predict(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, D) -> (B, A) the policy's mean actions."""
        return np.asarray(self._algo.predict(observation), np.float32)

    def append(
        self,
        observation: NDArray[np.float32],
        action: NDArray[np.float32],
        reward: NDArray[np.float64],
    ) -> None:
        """Keep one episode that its horizon cut off; the oldest go where there are too many.

        Args:
            observation: (T + 1, D).
            action: (T, A).
            reward: (T,).
        """
        closing = np.zeros((1, action.shape[1]), np.float32)  # none was taken in the last one
        taken = np.concatenate([np.clip(action, -1, 1), closing])
        self._episodes.append((observation, taken, reward))
        while (
            sum(len(rewards) for *_, rewards in self._episodes) > self._options.buffer
            and len(self._episodes) > 1
        ):
            self._episodes.popleft()

    def update(self, steps: int) -> dict[str, float]:
        """Take gradient steps; returns their mean losses by d3rlpy's names."""
        columns = zip(*self._episodes, strict=True)
        buffer = vector_buffer(*(list(column) for column in columns))
        losses: dict[str, list[float]] = {}
        for _ in range(steps):
            batch = buffer.sample_transition_batch(self._options.batch_size)
            for name, loss in self._algo.update(batch).items():
                losses.setdefault(name, []).append(float(loss))
        return {name: float(np.mean(values)) for name, values in losses.items()}

    def arrays(self) -> Arrays:
        """Networks and optimisers as d3rlpy saves them; the episodes are the caller's."""
        assert self._algo.impl is not None
        file = io.BytesIO()
        self._algo.impl.save_model(file)
        model = np.frombuffer(file.getvalue(), np.uint8)
        return {"model": model, "step": np.array(self._algo.grad_step)}

    def restore(self, arrays: Arrays) -> None:
        """Go on from there, with the episodes that were appended anew."""
        assert self._algo.impl is not None
        # of weights alone: torch unpickles nothing else
        self._algo.impl.load_model(io.BytesIO(arrays["model"].tobytes()))
        self._algo.set_grad_step(int(arrays["step"]))

    def policy(self) -> dict[str, NDArray[np.float32]]:
        """The tensors of the actor's mean, named as in a policy folder."""
        hidden, mean, _ = self._layers()
        layers = {**{f"hidden.{index}": layer for index, layer in enumerate(hidden)}, "out": mean}
        tensors = {
            f"{name}.{key}": values.detach().numpy().copy()
            for name, layer in layers.items()
            for key, values in layer.named_parameters()
        }
        return {**tensors, **self._scaling}


def hidden_biases(tensors: Mapping[str, Any]) -> list[str]:
    """Names of the biases of a policy's hidden layers, in their order."""
    return [f"hidden.{index}.bias" for index in range(sum(".bias" in name for name in tensors) - 1)]


def _fill(parameter: Tensor, values: NDArray[np.float32]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
