"""Where one mean goal is the wrong goal."""

from collections.abc import Sequence

from vip_offline.analysis.results import Row

# Distance between goal images, as a share of that from the starts to their mean (see
# `progress.goal_agreement`). A success covers about 1 - share / sqrt(2) of the way to such a mean.
# By lite0, ten successes and ten failures each, AUC by the mean goal and by the nearest one:
#   door-close, drawer-open, drawer-close, push: 0.53, 0.75, 0.77, 0.77; AUC 0.94 to 1, 0.92 to 1
#     (the goal moves with the drawer; subsets of five successes: up to 0.89)
#   two of these tasks in one store: 0.91, 0.96, 1.23; AUC 0.82 to 0.83, 0.91 to 0.97
#   made-up goals that move: 1.1, 1.3, 1.4, 1.7; AUC 0.80, 0.59, 0.51, 0.42; 0.80, 0.75, 0.74, 0.71
WIDE = 0.9
# of fewer pictures the share varies more: three successes of drawer-close have had 0.94
FEW_SUCCESSES, WIDE_OF_FEW = 5, 1.0


def goal_warnings(rows: Sequence[Row], pictures: int) -> list[str]:
    """Warn of labellings whose goals differ so much that their mean is not a goal.

    Args:
        rows: labellings and controls.
        pictures: successes, whose last frames the mean is of.
    """
    wide = WIDE if pictures >= FEW_SUCCESSES else WIDE_OF_FEW
    return [
        f"{row.name}: the goal images lie {row.agreement:.0%} as far from each other as the "
        f"starts do from their mean (more than {wide:.0%}), so that mean shows no goal, and "
        "distances to it say little. If the goal moves with an object: relabel --goal "
        "nearest:successes, or --goal last (each episode's own last frame, of failures too). If "
        "these are several tasks, or several ways to succeed: label each by goals of its own "
        "(--goal EPISODE:FRAME or a picture, and --name)."
        for row in rows
        if not row.control and row.goal_from_others and row.mean_goal and row.agreement > wide
    ]
