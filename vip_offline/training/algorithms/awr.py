"""Advantage-weighted regression as a d3rlpy algorithm (Peng et al. 2019), which d3rlpy dropped.

The return of a transition is computed once, before training, and travels in d3rlpy's reward slot;
d3rlpy's own returns-to-go are summed up again in Python for every sample of every batch.
"""

import dataclasses

import torch
from d3rlpy.algos import QLearningAlgoBase
from d3rlpy.base import DeviceArg, LearnableConfig, register_learnable
from d3rlpy.constants import ActionSpace
from d3rlpy.models.builders import create_value_function
from d3rlpy.models.encoders import EncoderFactory, make_encoder_field
from d3rlpy.models.torch import Policy, ValueFunction
from d3rlpy.optimizers.optimizers import OptimizerFactory, OptimizerWrapper, make_optimizer_field
from d3rlpy.torch_utility import Modules, TorchMiniBatch
from d3rlpy.types import Shape, TorchObservation
from torch import Tensor

from vip_offline.options import Head
from vip_offline.training.algorithms.rwr import PolicyImpl
from vip_offline.training.networks.heads import create_policy, weighted_loss


def advantage_weight(advantage: Tensor, beta: float, max_weight: float) -> Tensor:
    """exp(A / beta), capped; no gradient flows through it.

    Args:
        advantage: (B, 1), return less value.
        beta: temperature, in units of the return; the smaller the sharper.
        max_weight: cap; 20 in the paper.

    Returns:
        (B, 1).
    """
    return torch.exp(advantage.detach() / beta).clamp(max=max_weight)


@dataclasses.dataclass()
class AWRConfig(LearnableConfig):
    """Config of advantage-weighted regression; the reward slot holds the return."""

    beta: float = 1.0
    max_weight: float = 20.0
    head: Head = "deterministic"
    learning_rate: float = 1e-3
    value_learning_rate: float = 1e-3
    batch_size: int = 32
    optim_factory: OptimizerFactory = make_optimizer_field()
    encoder_factory: EncoderFactory = make_encoder_field()

    def create(self, device: DeviceArg = False, enable_ddp: bool = False) -> "AWR":
        """Make the algorithm."""
        if self.reward_scaler is not None:
            raise ValueError("AWR takes no reward_scaler: scale the returns, beta is in their unit")
        return AWR(self, device, enable_ddp)

    @staticmethod
    def get_type() -> str:
        """Name under which d3rlpy saves it."""
        return "vip_awr"


@dataclasses.dataclass(frozen=True)
class AWRModules(Modules):
    """Both networks and their optimisers."""

    policy: Policy
    value: ValueFunction
    optim: OptimizerWrapper
    value_optim: OptimizerWrapper


class AWRImpl(PolicyImpl):
    """The gradient steps."""

    _modules: AWRModules

    def inner_update(self, batch: TorchMiniBatch, grad_step: int) -> dict[str, float]:
        """One step of the value, one of the policy, on the same batch."""
        del grad_step
        modules = self._modules
        advantage = batch.rewards - modules.value(batch.observations)
        value_loss = (advantage**2).mean()
        modules.value_optim.zero_grad()
        value_loss.backward()  # type: ignore[no-untyped-call]
        modules.value_optim.step()

        weight = advantage_weight(advantage, self._config.beta, self._config.max_weight)
        loss = weighted_loss(modules.policy(batch.observations), batch.actions, weight)
        modules.optim.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        modules.optim.step()
        return {"loss": float(loss.detach()), "value_loss": float(value_loss.detach())}

    def inner_predict_value(self, x: TorchObservation, action: Tensor) -> Tensor:
        """(B,), of the observation; AWR learns none of actions."""
        del action
        return self._modules.value(x).reshape(-1)


class AWR(QLearningAlgoBase[AWRImpl, AWRConfig]):
    """Advantage-weighted regression."""

    def inner_create_impl(self, observation_shape: Shape, action_size: int) -> None:
        """Build the networks."""
        config = self._config
        policy = create_policy(
            config.head, observation_shape, action_size, config.encoder_factory, self._device
        )
        value = create_value_function(
            observation_shape, config.encoder_factory, device=self._device, enable_ddp=False
        )
        optim, value_optim = (
            config.optim_factory.create(network.named_modules(), lr=rate, compiled=self.compiled)
            for network, rate in (
                (policy, config.learning_rate),
                (value, config.value_learning_rate),
            )
        )
        self._impl = AWRImpl(
            observation_shape=observation_shape,
            action_size=action_size,
            modules=AWRModules(policy=policy, value=value, optim=optim, value_optim=value_optim),
            config=config,
            device=self._device,
        )

    def get_action_type(self) -> ActionSpace:
        """Continuous."""
        return ActionSpace.CONTINUOUS


register_learnable(AWRConfig)
