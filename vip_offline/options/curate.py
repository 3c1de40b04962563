"""Options of the choice of episodes by what the reward says of them."""

from dataclasses import dataclass
from typing import Annotated

from vip_offline.options.fields import Option


@dataclass(frozen=True)
class CurateOptions:
    """Which episodes of a labelled store are kept."""

    label: Annotated[
        str, Option("Labelling to judge by.", default_text="the only one of the store")
    ] = ""
    # chosen by thought, not measured: see docs/guides/curation.md
    least: Annotated[
        float,
        Option(
            "Share of the way to the goal that an episode must cover at its end to be kept; the "
            "best tenth covers 1.",
            ge=0,
            le=1,
        ),
    ] = 0.7
    trim: Annotated[
        str,
        Option(
            "Write a new store here whose episodes lack the rows in which they stand still at "
            "their start and end.",
            default_text="none",
        ),
    ] = ""
    # chosen by thought: a quarter of a second at 20 Hz
    margin: Annotated[
        int, Option("Idle rows that --trim leaves at either end of an episode.", ge=0)
    ] = 5
    prove: Annotated[
        bool,
        Option(
            "Compare policies that learn from all episodes, from those kept, from as many at "
            "random and from the shortest, in the simulator of the task; where there is none, by "
            "their error on held-out episodes (--hold-out)."
        ),
    ] = False
