"""What a store holds, for a person and as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.dataset.store import Store
from vip_offline.options import nuisance_text
from vip_offline.utils.console import Console

Description = dict[str, Any]
# what was made of what: heading and relative width of each column
MADE = {
    "what": ("made", 5),
    "source": ("from", 4),
    "settings": ("settings", 5),
    "still": ("still true", 5),
}
BOOKKEEPING = ("arrays", "asked", "hash", "read")  # attributes that say nothing to a user
VALUE_LENGTH = 66  # characters of a provenance value that fit a line


def describe_store(store: Store) -> Description:
    """Return everything that `print_description` shows, ready for JSON."""
    lengths = [stop - start for start, stop in store.spans()]
    kinds = store.kinds() if lengths else []
    return {
        "path": str(store.path),
        "attributes": store.attributes,
        "episodes": len(store),
        "successes": int(store.meta("success").sum()) if lengths else 0,
        "unlabelled": int((~store.success_labelled).sum()) if lengths else 0,
        "rows": store.rows,
        "lengths": [min(lengths), max(lengths)] if lengths else [],
        "kinds": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "tree": [
            {"path": path, "shape": shape, "dtype": dtype, "attributes": attributes}
            for path, shape, dtype, attributes in store.tree()
        ],
    }


def print_description(description: Description, console: Console) -> None:
    """Print the store's tree, its episodes, and how each embedding and labelling was made."""
    attributes = description["attributes"]
    planned = attributes.get("episodes_planned", description["episodes"])
    console.print(description["path"], style="bold", soft_wrap=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in description["kinds"].items())
    # how many count as successes because nothing says otherwise
    unlabelled = description["unlabelled"]
    counted = f" ({unlabelled} not labelled: counted as successes)" if unlabelled else ""
    console.print(
        f"{description['episodes']} of {planned} episodes ({kinds or 'none'}), "
        f"{description['successes']} successes{counted}, "
        f"{description['rows']} rows"
        + (
            f", lengths {description['lengths'][0]} to {description['lengths'][1]}" if kinds else ""
        ),
        highlight=False,
    )
    facts = [
        f"{key} {attributes[key]}"
        for key in ("source", "task", "control_rate")
        if key in attributes
    ]
    facts += filter(None, [nuisance_text(attributes.get("record") or attributes.get("plan"))])
    if facts:
        console.print(", ".join(facts), highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("array", "shape", "dtype"):
        table.add_column(heading, overflow="fold")
    for row in description["tree"]:
        if row["shape"]:
            table.add_row(row["path"], row["shape"], row["dtype"])
    console.print(table)
    for row in description["tree"]:
        if row["path"].startswith(("embeddings/", "labels/")) and row["attributes"].keys() - {
            *BOOKKEEPING
        }:
            console.print(row["path"].rstrip("/"), style="bold", soft_wrap=True)
            for key, value in row["attributes"].items():
                if key in BOOKKEEPING:
                    continue
                text = str(value)
                short = text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 3]}..."
                console.print(f"  {key}: {short}", highlight=False, soft_wrap=True)


def provenance_table(rows: Iterable[Mapping[str, str]]) -> Table:
    """Return a table with one row per derived artefact, of the keys of `MADE`."""
    table = Table(box=None, pad_edge=False, width=80)
    for heading, width in MADE.values():
        table.add_column(heading, overflow="fold", ratio=width)
    for row in rows:
        # names are the user's: Text keeps their [brackets] from being taken for markup
        table.add_row(*(Text(row[key]) for key in MADE))
    return table


def print_inspection(
    description: Description, changed: Iterable[str], console: Console, *, verified: bool
) -> None:
    """Print a store or a folder, what was made of it, and what has changed.

    Args:
        description: of a store, see `describe`, or of a folder: its ``path``; with ``made``.
        changed: since it was written, in words.
        console: to print on.
        verified: whether everything was hashed.
    """
    is_store = "rows" in description
    if is_store:
        print_description(description, console)
    if description["made"] or not is_store:
        console.print(provenance_table(description["made"]))
    for line in changed:
        console.print(line, soft_wrap=True)
    if verified and is_store and not changed:
        console.print(f"verified: {description['rows']} rows are what they were")
