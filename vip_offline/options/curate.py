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
    prove: Annotated[
        bool,
        Option(
            "Compare policies that learn from all episodes, from those kept, from as many at "
            "random and from the shortest, in the simulator of the task."
        ),
    ] = False
