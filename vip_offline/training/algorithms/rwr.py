"""Reward-weighted regression as a d3rlpy algorithm; behaviour cloning is its tau = 0.

d3rlpy's own stochastic BC is not a likelihood (it is the squared error of one clamped sample),
and its deterministic BC knows no weights, so both arms of a comparison come from here: same
head, same likelihood, same batches.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, cast

import torch
from d3rlpy.algos import QLearningAlgoBase, QLearningAlgoImplBase
from d3rlpy.base import DeviceArg, LearnableConfig, register_learnable
from d3rlpy.constants import ActionSpace
from d3rlpy.models.encoders import EncoderFactory, make_encoder_field
from d3rlpy.models.torch import Policy
from d3rlpy.optimizers.optimizers import (
    OptimizerFactory,
    OptimizerWrapper,
    make_optimizer_field,
    register_optimizer_factory,
)
from d3rlpy.torch_utility import Modules, TorchMiniBatch
from d3rlpy.types import Shape, TorchObservation
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from vip_offline.options import Head
from vip_offline.training.networks.heads import create_policy, sample, weighted_loss


def exponential_weight(
    score: Tensor, tau: float, log_mean_weight: float = 0.0, max_weight: float | None = None
) -> Tensor:
    """exp(tau R) of Eq. 7, over its mean in the training set, capped.

    Of a batch, where d3rlpy's `fit` trains; of the whole set see `weights.regression_weights`.

    Args:
        score: (B, 1), R: the one-step reward in the paper.
        tau: the temperature; 0 is behaviour cloning.
        log_mean_weight: log of the mean weight over the training set, which weights are divided by.
        max_weight: cap of the result.

    Returns:
        (B, 1).
    """
    weight = torch.exp(tau * score - log_mean_weight)
    return weight if max_weight is None else weight.clamp(max=max_weight)


@dataclasses.dataclass()
class FusedAdamFactory(OptimizerFactory):
    """Adam in one kernel per step: the same update up to rounding, a third of the time on CPU."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def create_optimizer(self, named_modules: Iterable[tuple[str, nn.Module]], lr: float) -> Adam:
        """Adam over every parameter, each once (a module and its parent name the same ones)."""
        named = list(named_modules)
        parameters = list(dict.fromkeys(p for _, module in named for p in module.parameters()))
        return Adam(parameters, lr=lr, betas=self.betas, eps=self.eps, fused=True)

    @staticmethod
    def get_type() -> str:
        """Name under which d3rlpy saves it."""
        return "vip_fused_adam"


@dataclasses.dataclass()
class RWRConfig(LearnableConfig):
    """Config of reward-weighted regression.

    The score R of a transition travels in d3rlpy's reward slot, so no reward scaler may be set:
    it would change tau's meaning.
    """

    tau: float = 0.1
    log_mean_weight: float = 0.0
    max_weight: float | None = None
    head: Head = "deterministic"
    learning_rate: float = 1e-3
    batch_size: int = 32
    optim_factory: OptimizerFactory = make_optimizer_field()
    encoder_factory: EncoderFactory = make_encoder_field()

    def create(self, device: DeviceArg = False, enable_ddp: bool = False) -> "RWR":
        """Make the algorithm."""
        if self.reward_scaler is not None:
            raise ValueError("RWR takes no reward_scaler: the reward is the exponent of Eq. 7")
        return RWR(self, device, enable_ddp)

    @staticmethod
    def get_type() -> str:
        """Name under which d3rlpy saves it."""
        return "vip_rwr"


@dataclasses.dataclass(frozen=True)
class RWRModules(Modules):
    """The network and its optimiser."""

    policy: Policy
    optim: OptimizerWrapper


class PolicyImpl(QLearningAlgoImplBase):
    """A policy that acts by its head, of RWR and of AWR."""

    _modules: Any  # with `policy` and `optim`

    def __init__(
        self, observation_shape: Shape, action_size: int, modules: Modules, config: Any, device: str
    ) -> None:
        super().__init__(observation_shape, action_size, modules, device)
        self._config = config

    def inner_predict_best_action(self, x: TorchObservation) -> Tensor:
        """(B, A), the mean action."""
        action: Tensor = self._modules.policy(x).squashed_mu
        return action

    def inner_sample_action(self, x: TorchObservation) -> Tensor:
        """(B, A), drawn from the head."""
        return sample(self._modules.policy(x))

    def inner_predict_value(self, x: TorchObservation, action: Tensor) -> Tensor:
        """There is no value function."""
        raise NotImplementedError("RWR learns no value function")

    @property
    def policy(self) -> Policy:
        """The network."""
        return cast("Policy", self._modules.policy)

    @property
    def policy_optim(self) -> Optimizer:
        """Its optimiser."""
        return cast("Optimizer", self._modules.optim.optim)


class RWRImpl(PolicyImpl):
    """The gradient step."""

    _modules: RWRModules

    def inner_update(self, batch: TorchMiniBatch, grad_step: int) -> dict[str, float]:
        """One step on a batch; returns its loss."""
        del grad_step
        config = self._config
        weight = exponential_weight(
            batch.rewards, config.tau, config.log_mean_weight, config.max_weight
        )
        # to None, not to zeros, which d3rlpy's wrapper fills in and autograd then adds to
        self._modules.optim.optim.zero_grad(set_to_none=True)
        loss = weighted_loss(self._modules.policy(batch.observations), batch.actions, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        self._modules.optim.step()
        return {"loss": float(loss.detach())}


class RWR(QLearningAlgoBase[RWRImpl, RWRConfig]):
    """Reward-weighted regression (Peters & Schaal 2007; Eq. 7 of the VIP paper)."""

    def inner_create_impl(self, observation_shape: Shape, action_size: int) -> None:
        """Build the network."""
        policy = create_policy(
            self._config.head,
            observation_shape,
            action_size,
            self._config.encoder_factory,
            self._device,
        )
        optim = self._config.optim_factory.create(
            policy.named_modules(), lr=self._config.learning_rate, compiled=self.compiled
        )
        self._impl = RWRImpl(
            observation_shape=observation_shape,
            action_size=action_size,
            modules=RWRModules(policy=policy, optim=optim),
            config=self._config,
            device=self._device,
        )

    def get_action_type(self) -> ActionSpace:
        """Continuous."""
        return ActionSpace.CONTINUOUS


register_optimizer_factory(FusedAdamFactory)
register_learnable(RWRConfig)
