"""Options of what differs from one episode's pictures to the next's, and is no matter of the task.

Whoever draws in the simulator has the two fields: ``nuisance: NuisanceKinds = ()`` and
``nuisance_level: NuisanceLevel = 1``; `check_nuisance` reads them.
"""

from collections.abc import Mapping
from typing import Annotated, Protocol

from vip_offline.errors import did_you_mean
from vip_offline.options.fields import Option, OptionError

NUISANCES = ("light", "camera", "tint", "distractor")
HIGHEST_LEVEL = 2

NuisanceKinds = Annotated[
    tuple[str, ...],
    Option(
        "Nuisances in the simulator's pictures, drawn anew for each episode: light, camera (its "
        "pose), tint (colours of what stands still), distractor (balls that do not matter). "
        "Physics stays as it is.",
        separator=",",
        default_text="none",
    ),
]
NuisanceLevel = Annotated[
    int,
    Option(
        "Strength of the nuisances; 0: none. At 1 the camera turns by up to 4 degrees and its "
        "distance changes by up to 6 %; at 2 all is twice as much.",
        ge=0,
        le=HIGHEST_LEVEL,
    ),
]


class HasNuisance(Protocol):
    """Options with the two fields."""

    @property
    def nuisance(self) -> tuple[str, ...]:
        """Kinds of nuisances."""

    @property
    def nuisance_level(self) -> int:
        """0 to 2."""


def check_nuisance(options: HasNuisance) -> None:
    """Refuse an unknown kind, and a level of nothing.

    Raises:
        OptionError: with the nearest kind, or the option that is missing.
    """
    for kind in options.nuisance:
        if kind not in NUISANCES:
            hint = did_you_mean(kind, NUISANCES)
            raise OptionError(type(options), "nuisance", kind, f"is unknown.{hint}")
    if options.nuisance_level == HIGHEST_LEVEL and not options.nuisance:
        raise OptionError(
            type(options),
            "nuisance_level",
            options.nuisance_level,
            f"no nuisance is named; name some of {', '.join(NUISANCES)}.",
        )


def nuisance_text(settings: object) -> str:
    """What provenance says of nuisances, for people: ``nuisance light+camera at level 2``.

    Args:
        settings: with the two fields; "" is returned where they are missing, or there is none.
    """
    if not isinstance(settings, Mapping):
        return ""
    kinds, level = settings.get("nuisance"), settings.get("nuisance_level")
    if not isinstance(kinds, list | tuple) or not kinds:
        return ""
    return f"nuisance {'+'.join(map(str, kinds))} at level {level}"
