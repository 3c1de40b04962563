"""A known data set, fetched."""

from vip_offline.dataset.catalog.card import card
from vip_offline.dataset.catalog.fetch import fetch_dataset
from vip_offline.report.terminal.datasets import describe_card
from vip_offline.utils.console import Console
from vip_offline.utils.download import BLOCK


def fetch_stage(name: str, console: Console) -> None:
    """Fetch a data set, or print what is to be done by hand.

    Raises:
        VipOfflineError: if there is no such card, or it cannot be fetched.
    """

    def say(line: str) -> None:
        console.say(f"$ {line}")

    dataset = card(name)
    console.say(f"licence: {'. '.join(filter(None, (dataset.licence, dataset.licence_note)))}")
    if dataset.fetch.url:
        say(f"GET {dataset.fetch.url}")
    # a bar only where bytes are counted: other programs draw their own
    aside = Console(stderr=True, force_terminal=None if dataset.fetch.url else False)
    with aside.bar("fetch", 0, "MB") as advance:
        blocks = 0

        def on_bytes(count: int, total: int) -> None:
            nonlocal blocks
            advance(count // BLOCK - blocks, total=total // BLOCK if total else None)
            blocks = count // BLOCK

        path = fetch_dataset(dataset, on_bytes, say)
    console.say(f"fetch: {name} -> {path}")
    if path != dataset.store:
        say(describe_card(dataset)["import"])
