"""The baseline of policy gradients: what return an observation at a time leads to."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vip_offline.analysis.metrics import is_flat
from vip_offline.online.gaussian_policy import perceptron
from vip_offline.online.named_arrays import tensors_under
from vip_offline.training.checkpoint import Arrays
from vip_offline.utils.arrays import Floats

# as mjrl's class has them
HIDDEN = (128, 128)
LEARNING_RATE = 1e-3
BATCH = 64
TIME_SCALE = 1_000  # steps
POWERS = 4  # of the time, beside the observation


def value_inputs(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, D) standardised observations of an episode from its start -> (T, D + 4), with the time.

    Within a horizon what is still to come depends on the time, which no observation tells.
    """
    time = np.arange(len(observation), dtype=np.float32)[:, None] / TIME_SCALE
    powers = time ** np.arange(1, POWERS + 1, dtype=np.float32)
    return np.concatenate([observation, powers], axis=1)


class ValueFunction:
    """A multi-layer perceptron on observation and time, fitted to discounted returns.

    Returns of a visual reward have the scale of their encoder, so the network is fitted to returns
    in units of the standard deviation of the first ones (mjrl: raw).
    """

    def __init__(self, inputs: int, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = perceptron((inputs + POWERS, *HIDDEN, 1), nn.ReLU)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)
        self._scale = 0.0  # not known yet

    def __call__(self, inputs: NDArray[np.float32]) -> Floats:
        """(N, D + 4) inputs of `value_inputs` -> (N,) returns; 0 before the first fit."""
        with torch.inference_mode():
            value = self.network(torch.from_numpy(inputs))[:, 0]
        return np.asarray(value.numpy() * self._scale, np.float64)

    def fit(
        self,
        inputs: NDArray[np.float32],
        returns: Floats,
        epochs: int,
        generator: np.random.Generator,
    ) -> float:
        """Lower the squared error by Adam.

        Args:
            inputs: (N, D + 4).
            returns: (N,).
            epochs: passes over the rows, each in another order.
            generator: of the orders.

        Returns:
            The mean squared error of the last pass, in the units of `_scale`.
        """
        if not self._scale and not is_flat(returns):
            self._scale = float(returns.std())
        scale = self._scale or 1.0  # not kept: the first reward may come later
        rows = torch.from_numpy(inputs)
        target = torch.from_numpy((returns / scale).astype(np.float32))
        losses: list[float] = []
        for _ in range(epochs):
            order = torch.from_numpy(generator.permutation(len(rows)))
            batches = torch.split(order, BATCH)
            losses = [self._descend(rows[batch], target[batch]) for batch in batches]
        return float(np.mean(losses))

    def _descend(self, rows: Tensor, target: Tensor) -> float:
        loss = nn.functional.mse_loss(self.network(rows)[:, 0], target)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return float(loss.detach())

    def arrays(self) -> Arrays:
        """Network, Adam's moments and the scale of the returns."""
        arrays = {f"network/{key}": v.numpy() for key, v in self.network.state_dict().items()}
        state = self._optimizer.state_dict()["state"]
        for index, moments in state.items():
            arrays |= {f"adam/{index}/{key}": value.numpy() for key, value in moments.items()}
        return {**arrays, "scale": np.array(self._scale)}

    def restore(self, arrays: Arrays) -> None:
        """Go on from there."""
        self._scale = float(arrays["scale"])
        self.network.load_state_dict(tensors_under("network", arrays))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors_under("adam", arrays).items():
            index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
        state = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**state, "state": moments})
