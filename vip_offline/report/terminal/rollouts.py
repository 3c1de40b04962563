"""How often policies succeeded, one row each."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.conclusions import points
from vip_offline.analysis.closed_loop.statistics import bernoulli_deviation, success_interval
from vip_offline.report.terminal.comparison import span

SIGNS = 20  # per line


def rollout_table(
    success: Mapping[str, Sequence[bool]],
    reattempts: Mapping[str, Sequence[int] | None] | None = None,
    *,
    as_table_1: bool = False,
    computed: str = "",
) -> Table:
    """Return one row per policy: how often it succeeded, with Wilson's 95 % interval, and where.

    Args:
        success: policy -> outcome per placement, in the order of their seeds.
        reattempts: policy -> how often each rollout came back to the goal after it had moved away
            (App. F.4); shown as rollouts that did, and how many of these succeeded.
        as_table_1: in place of the interval the standard deviation of a single rollout, as the
            paper's Table 1 has it. It says nothing of how sure the rate is: at 50 % it is 50
            points, after ten rollouts or a thousand.
        computed: a sentence on what the numbers hold for, put below.
    """
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    if computed:
        table.caption, table.caption_justify = Text(computed), "left"
    table.add_column("policy", overflow="fold")
    for heading in ("success %", "± (Table 1)" if as_table_1 else "95 %", "of"):
        table.add_column(heading, justify="right")
    counted = {name: counts for name, counts in (reattempts or {}).items() if counts is not None}
    if counted:
        table.add_column("tried again", justify="right")
    # one sign per placement, in their order; folded where there are many
    table.add_column("per placement", overflow="fold", max_width=SIGNS)
    for name, outcomes in success.items():
        rate = sum(outcomes) / len(outcomes)
        if as_table_1:
            spread = points(bernoulli_deviation(rate), sign=False)
        else:
            spread = span(*success_interval(sum(outcomes), len(outcomes)), sign=False)
        signs = "".join("+" if outcome else "." for outcome in outcomes)
        numbers: tuple[str, ...] = (points(rate, sign=False), spread, str(len(outcomes)))
        if counted:
            again = [
                good for good, count in zip(outcomes, counted.get(name, ()), strict=False) if count
            ]
            numbers += (f"{len(again)}, {sum(again)} solved" if again else "0",)
        table.add_row(Text(name), *numbers, signs)
    return table
