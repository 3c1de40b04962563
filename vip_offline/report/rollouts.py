"""How often policies succeeded, one row each."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from vip_offline.report.statistics import success_interval
from vip_offline.report.table import span
from vip_offline.report.verdicts import points

SIGNS = 20  # per line


def rollout_table(success: Mapping[str, Sequence[bool]]) -> Table:
    """Return one row per policy: how often it succeeded, with Wilson's 95 % interval, and where.

    Args:
        success: policy -> outcome per placement, in the order of their seeds.
    """
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("policy", overflow="fold")
    for heading in ("success %", "95 %", "of"):
        table.add_column(heading, justify="right")
    # one sign per placement, in their order; folded where there are many
    table.add_column("per placement", overflow="fold", max_width=SIGNS)
    for name, outcomes in success.items():
        low, high = success_interval(sum(outcomes), len(outcomes))
        rate = sum(outcomes) / len(outcomes)
        signs = "".join("+" if outcome else "." for outcome in outcomes)
        numbers = (points(rate, sign=False), span(low, high, sign=False), str(len(outcomes)))
        table.add_row(Text(name), *numbers, signs)
    return table
