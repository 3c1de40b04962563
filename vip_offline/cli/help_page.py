"""What ``--help`` shows: plain text, in which no flag is ever cut.

rich's help is a table of fixed columns, which at 80 characters ends ``--standardise-scores`` in an
ellipsis. click's own help leaves flags whole; it lacks headings and whole sentences, which are
added here.
"""

from typing import Any

from typer.core import TyperGroup


class PanelledGroup(TyperGroup):
    """Lists commands under the headings of their ``rich_help_panel``, in the order of the code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section per heading, with the first paragraph of each command's help.

        Args:
            ctx: not looked at.
            formatter: click's, or the copy of it that typer brings.
        """
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            if not command.hidden:
                heading = getattr(command, "rich_help_panel", None)
                first, _, _ = (command.help or "").partition("\n\n")
                panels.setdefault(heading or "Commands", []).append((name, " ".join(first.split())))
        for heading, lines in panels.items():
            with formatter.section(heading):
                formatter.write_dl(lines)
