"""What a policy network ends in: the mean action alone, or a Gaussian around it."""

from d3rlpy.models.builders import create_deterministic_policy, create_normal_policy
from d3rlpy.models.encoders import EncoderFactory
from d3rlpy.models.torch import ActionOutput, Policy, build_gaussian_distribution
from d3rlpy.types import Shape
from torch import Tensor

from vip_offline.options import Head

MIN_LOG_STD, MAX_LOG_STD = -5.0, 2.0  # as in d3rlpy's IQL


def create_policy(
    head: Head, observation_shape: Shape, action_size: int, encoder: EncoderFactory, device: str
) -> Policy:
    """A network with this head; the mean action is tanh of its last layer."""
    if head == "deterministic":
        return create_deterministic_policy(
            observation_shape, action_size, encoder, device=device, enable_ddp=False
        )
    # one deviation per action for all observations: with twenty demonstrations one that depends on
    # the observation learns where the training set happens to be repeated
    return create_normal_policy(
        observation_shape,
        action_size,
        encoder,
        device=device,
        enable_ddp=False,
        min_logstd=MIN_LOG_STD,
        max_logstd=MAX_LOG_STD,
        use_std_parameter=True,
    )


def weighted_loss(output: ActionOutput, action: Tensor, weight: Tensor) -> Tensor:
    """-mean(w log pi(a|o)), up to constants (Eq. 7).

    Args:
        output: of the network, for B observations.
        action: (B, A), the action taken.
        weight: (B, 1).

    Returns:
        A scalar. For a deterministic head, which is a Gaussian of one fixed variance, the weighted
        mean squared error. For a Gaussian one the negative log-likelihood of Normal(tanh(mu), std):
        not that of a squashed Gaussian, whose density is infinite at actions of -1 and 1.
    """
    if output.logstd is None:
        return (weight * (output.squashed_mu - action) ** 2).mean()
    return -(weight * build_gaussian_distribution(output).log_prob(action)).mean()


def sample(output: ActionOutput) -> Tensor:
    """(B, A), drawn from the head; of a deterministic one its mean."""
    if output.logstd is None:
        return output.squashed_mu
    return build_gaussian_distribution(output).sample()  # which d3rlpy clamps to [-1, 1]
