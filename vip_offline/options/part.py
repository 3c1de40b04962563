"""Part of an options dataclass, where a command has not all of it or calls some otherwise."""

import dataclasses
import keyword
from collections.abc import Mapping
from typing import Any

from vip_offline.options.fields import Field, fields_of


@dataclasses.dataclass(frozen=True)
class Part:
    """Which fields of an options dataclass a command has: ``Annotated[RolloutOptions, Part(...)]``.

    Attributes:
        only: names of fields; empty: all.
        without: names of fields that are left out.
        flags: field -> flag, where another dataclass of the command has its usual one.
        defaults: field -> default, where the command has its own.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    flags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def fields(self, kind: type) -> dict[str, Field]:
        """Flags' names in Python, such as ``rollout_processes`` -> field."""
        chosen: dict[str, Field] = {}
        for field in fields_of(kind):
            name = field.name
            option = field.option
            if option.recipe_only or name in self.without or (self.only and name not in self.only):
                continue
            if name in self.flags:
                option = dataclasses.replace(option, flags=(self.flags[name],))
            default = self.defaults.get(name, field.default)
            field = dataclasses.replace(field, option=option, default=default)
            flag = field.flags[0].removeprefix("--").replace("-", "_")
            chosen[f"{flag}_" if keyword.iskeyword(flag) else flag] = field
        return chosen
