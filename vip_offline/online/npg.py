"""Natural policy gradient with generalised advantages (Kakade 2001), as mjrl runs it.

One iteration: advantages from the value function as it was, one step of a given KL divergence
along the natural gradient, then the value function is fitted to the returns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vip_offline.online.advantages import (
    discounted_returns,
    explained_variance,
    gae,
    whitened,
)
from vip_offline.online.environment import Trajectory
from vip_offline.online.gaussian_policy import (
    GaussianPolicy,
    first_layer,
    log_likelihood,
    mean_divergence,
)
from vip_offline.online.named_arrays import tensors_under, under, without
from vip_offline.online.natural_gradient import fisher_product, flat, natural_step
from vip_offline.online.running_statistics import RunningStatistics, keep_function
from vip_offline.online.value_function import ValueFunction, value_inputs
from vip_offline.options.online import NpgOptions
from vip_offline.training.checkpoint import Arrays
from vip_offline.utils.arrays import Floats


class NaturalPolicyGradient:
    """Policy, value function and the statistics of their inputs; a `Learner`."""

    replays = False

    def __init__(
        self, action_size: int, options: NpgOptions, statistics: RunningStatistics, seed: int
    ) -> None:
        size = len(statistics.mean)
        self._options, self._statistics = options, statistics
        self._policy = GaussianPolicy(size, action_size, options.hidden, options.init_log_std, seed)
        self._value = ValueFunction(size, seed)

    def explore(
        self, observation: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See `Learner.explore`."""
        deviation = self._policy.log_std.detach().exp().numpy()
        return np.asarray(self.exploit(observation) + deviation * noise, np.float32)

    def exploit(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Learner.exploit`."""
        with torch.inference_mode():
            inputs = torch.from_numpy(self._statistics.standardised(observation))
            mean: NDArray[np.float32] = self._policy(inputs)[0].numpy()
        return mean

    def begin(self, seed: int) -> None:
        """See `Learner.begin`; all that it draws comes with arguments."""

    def learn(self, episodes: Sequence[Trajectory], seed: int) -> dict[str, float]:
        """See `Learner.learn`."""
        options = self._options
        inputs = [
            value_inputs(self._statistics.standardised(episode.observation)) for episode in episodes
        ]
        values = [self._value(rows) for rows in inputs]
        advantage = np.concatenate(
            [
                # the value function knows the time that is left, and returns end at the horizon
                gae(e.reward, value, options.gamma, options.gae_lambda, terminated=True)
                for e, value in zip(episodes, values, strict=True)
            ]
        )
        returns = np.concatenate([discounted_returns(e.reward, options.gamma) for e in episodes])
        before = np.concatenate([value[:-1] for value in values])
        rows = np.concatenate([rows[:-1] for rows in inputs])
        size = len(self._statistics.mean)
        action = np.concatenate([episode.action for episode in episodes])
        rewards = np.concatenate([episode.reward for episode in episodes])
        # without any reward advantages are the value function's errors, and whitening would blow
        # those up to a whole step in no direction
        numbers = (
            self._improve(rows[:, :size], action, whitened(advantage))
            if np.ptp(rewards) > 0
            else {"divergence": 0.0, "surrogate": 0.0, "alpha": 0.0}
        )
        loss = self._value.fit(rows, returns, options.baseline_epochs, np.random.default_rng(seed))
        self._take_in([episode.observation for episode in episodes])
        return {
            **numbers,
            "log_std": float(self._policy.log_std.detach().mean()),
            "value_loss": loss,
            "explained_variance": explained_variance(before, returns),
        }

    def _improve(
        self, inputs: NDArray[np.float32], action: NDArray[np.float32], advantage: Floats
    ) -> dict[str, float]:
        """Take the step that raises the surrogate E[pi / pi_old A] (conservative iteration)."""
        options, parameters = self._options, [*self._policy.parameters()]
        rows, actions = torch.from_numpy(inputs), torch.from_numpy(action)
        weight = torch.from_numpy(advantage.astype(np.float32))
        mean, log_std = self._policy(rows)
        old_mean, old_log_std = mean.detach(), log_std.detach().clone()
        old = log_likelihood(actions, old_mean, old_log_std)
        ratio = (log_likelihood(actions, mean, log_std) - old).exp()
        gradient = flat(torch.autograd.grad((ratio * weight).mean(), parameters, retain_graph=True))
        product = fisher_product(
            mean_divergence(old_mean, old_log_std, mean, log_std), parameters, options.cg_damping
        )
        step, alpha = natural_step(gradient, product, options.step_size, options.cg_iterations)
        self._policy.move(step)
        with torch.inference_mode():
            mean, log_std = self._policy(rows)
            ratio = (log_likelihood(actions, mean, log_std) - old).exp()
            divergence = mean_divergence(old_mean, old_log_std, mean, log_std)
        return {
            "divergence": float(divergence),
            "surrogate": float((ratio * weight).mean()),
            "alpha": alpha,
        }

    def _take_in(self, observations: Sequence[NDArray[np.float32]]) -> None:
        """Let the statistics see more rows; the policy stays the function that it is."""
        old = self._statistics
        for observation in observations:
            self._statistics = self._statistics.updated(observation)
        for network in (self._policy.network, self._value.network):
            keep_function(first_layer(network), old, self._statistics)

    def recall(self, episodes: Sequence[Trajectory]) -> None:
        """Not needed: it learns from its last episodes alone."""

    def arrays(self) -> Arrays:
        """See `Learner.arrays`."""
        statistics = self._statistics
        network = {key: value.numpy() for key, value in self._policy.state_dict().items()}
        return {
            **under("policy", network),
            **under("value", self._value.arrays()),
            "statistics/count": np.array(statistics.count),
            "statistics/mean": statistics.mean,
            "statistics/squares": statistics.squares,
        }

    def restore(self, arrays: Arrays) -> None:
        """See `Learner.restore`."""
        self._policy.load_state_dict(tensors_under("policy", arrays))
        self._value.restore(without("value", arrays))
        self._statistics = RunningStatistics(
            int(arrays["statistics/count"]), arrays["statistics/mean"], arrays["statistics/squares"]
        )

    def policy(self) -> dict[str, NDArray[Any]]:
        """See `Learner.policy`: tanh layers, the last of them linear, and the noise's log_std."""
        linear = [layer for layer in self._policy.network if isinstance(layer, torch.nn.Linear)]
        names = [*(f"hidden.{index}" for index in range(len(linear) - 1)), "out"]
        tensors = {
            f"{name}.{key}": value.numpy().copy()
            for name, layer in zip(names, linear, strict=True)
            for key, value in layer.state_dict().items()
        }
        return {
            **tensors,
            "log_std": self._policy.log_std.detach().numpy().copy(),
            "mean": self._statistics.mean.astype(np.float32),
            "std": self._statistics.std.astype(np.float32),
        }
