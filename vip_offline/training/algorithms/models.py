"""d3rlpy's algorithms, configured for a training set, and their networks as plain arrays."""

from pathlib import Path
from typing import Any, TypeAlias

import d3rlpy
import numpy as np
import torch
from d3rlpy.algos import IQLConfig
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.models.torch import NormalPolicy
from d3rlpy.preprocessing import MinMaxActionScaler, StandardObservationScaler
from numpy.typing import NDArray
from torch import nn

from vip_offline.options import TrainOptions
from vip_offline.policies.policy import GOAL, GOAL_SET, HIGH, LOW
from vip_offline.training.algorithms.awr import AWRConfig
from vip_offline.training.algorithms.rwr import RWR, FusedAdamFactory, RWRConfig
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.data.input_statistics import STANDARD_EPSILON
from vip_offline.training.networks.ensemble import Hyperparameters, NetworkState
from vip_offline.training.networks.heads import MAX_LOG_STD, MIN_LOG_STD
from vip_offline.training.networks.pixel_encoder import PixelsAndProprioFactory, picture_size
from vip_offline.training.weighting.scores import LARGEST_AWR_WEIGHT

Algo: TypeAlias = Any  # d3rlpy.algos.QLearningAlgoBase of some implementation
Singles = NDArray[np.float32]


def create(data: TrainingSet, options: TrainOptions) -> Algo:
    """An algorithm of d3rlpy with its networks, whose weights the seed decides.

    The scaling of inputs and actions is part of it, so that its `predict` takes and gives what the
    store holds.
    """
    algo = _config(data, options).create()
    width, size = data.observations[0].shape[1], data.actions[0].shape[1]
    d3rlpy.seed(options.seed)  # the one place: d3rlpy draws from the global generators
    algo.create_impl((width,), size)
    return algo


def _config(data: TrainingSet, options: TrainOptions) -> Any:
    """The algorithm's own config of d3rlpy."""
    hidden, adam = VectorEncoderFactory(hidden_units=list(options.hidden)), FusedAdamFactory()
    shared: dict[str, Any] = {
        "batch_size": options.batch_size,
        "observation_scaler": data.statistics
        and StandardObservationScaler(
            mean=data.statistics.mean, std=data.statistics.std, eps=STANDARD_EPSILON
        ),
        "action_scaler": None
        if data.action_range is None
        else MinMaxActionScaler(minimum=data.action_range[0], maximum=data.action_range[1]),
    }
    if options.algo == "iql":
        return IQLConfig(
            gamma=options.discount,
            expectile=options.expectile,
            weight_temp=options.inverse_temperature,
            actor_learning_rate=options.learning_rate,
            critic_learning_rate=options.learning_rate,
            actor_optim_factory=adam,
            critic_optim_factory=adam,
            actor_encoder_factory=hidden,
            critic_encoder_factory=hidden,
            value_encoder_factory=hidden,
            **shared,
        )
    shared |= {
        "head": options.head,
        "learning_rate": options.learning_rate,
        "optim_factory": adam,
        "encoder_factory": hidden,
    }
    if options.algo == "awr":
        return AWRConfig(
            beta=options.beta,
            max_weight=LARGEST_AWR_WEIGHT,
            value_learning_rate=options.learning_rate,
            **shared,
        )
    if options.algo == "scratch-bc":
        size = picture_size(data.manifest["embedding_size"])
        shared["encoder_factory"] = PixelsAndProprioFactory(size, hidden_units=[*options.hidden])
        return RWRConfig(tau=0.0, **shared)
    return RWRConfig(
        tau=data.weighed.tau,
        log_mean_weight=data.weighed.log_mean_weight,
        max_weight=data.weighed.cap,
        **shared,
    )


def hyperparameters_of(algo: RWR) -> Hyperparameters:
    """What its gradient step is made of."""
    assert algo.impl is not None
    group = algo.impl.policy_optim.param_groups[0]
    gaussian = isinstance(algo.impl.policy, NormalPolicy)
    linear = _linear(algo)
    return Hyperparameters(
        widths=(linear[0].in_features, *(layer.out_features for layer in linear)),
        log_std_range=(MIN_LOG_STD, MAX_LOG_STD) if gaussian else None,
        batch_size=algo.config.batch_size,
        learning_rate=group["lr"],
        betas=group["betas"],
        eps=group["eps"],
    )


def _linear(algo: Algo) -> list[nn.Linear]:
    """The policy's layers, which were registered in the order in which they are applied."""
    return [module for module in algo.impl.policy.modules() if isinstance(module, nn.Linear)]


def _convolutions(algo: Algo) -> list[nn.Conv2d]:
    """Those before the dense layers, if the policy starts from pixels."""
    return [module for module in algo.impl.policy.modules() if isinstance(module, nn.Conv2d)]


def strides(algo: Algo) -> list[int]:
    """Of its convolutions."""
    return [int(layer.stride[0]) for layer in _convolutions(algo)]


def _parameters(algo: RWR) -> list[torch.Tensor]:
    """In the order of `NetworkState`."""
    assert algo.impl is not None
    layers = [values for layer in _linear(algo) for values in (layer.weight, layer.bias)]
    policy = algo.impl.policy
    if isinstance(policy, NormalPolicy):
        assert isinstance(policy._logstd, nn.Parameter)
        layers.append(policy._logstd)
    return layers


def state_of(algo: RWR, transitions: int, seed: int) -> NetworkState:
    """An untrained model as plain arrays, and the generator that d3rlpy's `fit` would draw from."""
    flat = torch.cat([values.detach().reshape(-1) for values in _parameters(algo)]).numpy()
    generator = np.random.RandomState(seed)  # what `d3rlpy.seed` makes of numpy's global one
    generator.randint(transitions)  # `fit` looks at one transition to learn the shapes
    zeros = np.zeros_like(flat)
    state = generator.get_state(legacy=True)
    return NetworkState(flat, zeros, zeros, 0, tuple(state))


def write_back(algo: RWR, state: NetworkState) -> None:
    """Give a model the parameters and moments of a state, as if `fit` had brought it there."""
    assert algo.impl is not None
    optimizer, start = algo.impl.policy_optim, 0
    with torch.no_grad():
        for parameter in _parameters(algo):
            stop = start + parameter.numel()
            values, exp_avg, exp_avg_sq = (
                torch.from_numpy(vector[start:stop]).view_as(parameter)
                for vector in (state.parameters, state.exp_avg, state.exp_avg_sq)
            )
            parameter.copy_(values)
            optimizer.state[parameter] = {
                "step": torch.tensor(float(state.step)),
                "exp_avg": exp_avg.clone(),
                "exp_avg_sq": exp_avg_sq.clone(),
            }
            start = stop
    algo._grad_step = state.step


def policy_tensors(algo: Algo, data: TrainingSet) -> dict[str, Singles]:
    """The policy's weights under plain names, and the scaling of its inputs and actions."""
    *hidden, out = _linear(algo)
    width = data.observations[0].shape[1]
    tensors = {"mean": np.zeros(width, np.float32), "std": np.ones(width, np.float32)}
    if data.statistics is not None:
        std = data.statistics.std + np.float32(STANDARD_EPSILON)
        tensors = {"mean": data.statistics.mean, "std": std}
    if data.action_range is not None:
        tensors[LOW], tensors[HIGH] = data.action_range
    if data.goal is not None:
        tensors[GOAL] = data.goal
    if data.goal_set is not None:
        tensors[GOAL_SET] = data.goal_set
    convolutions = _convolutions(algo)
    modules: dict[str, nn.Conv2d | nn.Linear] = {
        **{f"convolution.{index}": layer for index, layer in enumerate(convolutions)},
        **{f"hidden.{index}": layer for index, layer in enumerate(hidden)},
        "out": out,
    }
    for name, module in modules.items():
        assert module.bias is not None
        tensors[f"{name}.weight"] = module.weight.detach().numpy()
        tensors[f"{name}.bias"] = module.bias.detach().numpy()
    return tensors


def load(path: Path) -> Algo:
    """A model that this program saved itself: it is a pickle."""
    return d3rlpy.load_learnable(str(path))
