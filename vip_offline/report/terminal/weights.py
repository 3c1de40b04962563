"""What the weights of a training do, in words a user can act on."""

from collections.abc import Iterator

from vip_offline.training.weighting.weights import FEWEST_EPISODES, WeightSummary

NEARLY_UNIFORM, FEW_EFFECTIVE = 0.95, 0.2  # effective sample sizes, as shares of uniform


def weight_lines(summary: WeightSummary | None, target_ess: float) -> Iterator[str]:
    """Yield the numbers, then a warning where they mean that training cannot do its work.

    Args:
        summary: of the weights; None: not known before training.
        target_ess: effective sample size that `summary.helpful_tau` gives, share of uniform.
    """
    if summary is None:
        yield "weights: found in training, by a value that is learnt along; not known before"
        return
    low, _, median, _, high = summary.quantiles
    share = summary.effective_sample_size
    size = f"{share:.1%} of uniform"
    if summary.episodes is not None:
        size = f"{share * summary.episodes:.1f} of {summary.episodes} episodes"
    yield (
        f"weights: tau {summary.tau:g}, {summary.transitions} transitions, effective sample size "
        f"{size};\n  from {low:.2g} to {high:.2g} (median {median:.2g}, mean 1), "
        f"the heaviest 1 % hold {summary.top_percent_share:.1%}"
    )
    if summary.tau > 0 and share > NEARLY_UNIFORM:
        yield (
            "  The weights are nearly uniform: this is behaviour cloning in all but name. "
            f"{_way_out('Raise', summary, target_ess)}"
        )
    # else it is what was asked for
    if share < FEW_EFFECTIVE and summary.helpful_tau != summary.tau:
        wider = summary.helpful_tau is not None and summary.helpful_tau > summary.tau
        way_out = (
            "--tau auto --target-ess 0.4 spreads it wider."
            if wider
            else _way_out("Lower", summary, target_ess)
        )
        units = "transitions" if summary.episodes is None else "episodes"
        yield (f"  A few {units} hold most of the weight: training sees little else. {way_out}")


def _way_out(verb: str, summary: WeightSummary, target_ess: float) -> str:
    if summary.helpful_tau is None:
        return f"{verb} the temperature."
    if summary.episodes is not None:
        target_ess = max(target_ess, FEWEST_EPISODES / summary.episodes)
    return (
        f"{verb} --tau: {summary.helpful_tau:.3g} gives an effective sample size of "
        f"{target_ess:.0%}, as --tau auto finds."
    )
