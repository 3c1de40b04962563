import tomllib
from pathlib import Path

import pytest

from vip_offline.dataset.catalog.card import CARDS, card, cards
from vip_offline.errors import VipOfflineError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in CARDS.glob("*.toml")))
def test_a_card_says_what_it_must(name: str) -> None:
    entry = card(name)
    assert entry.origin.startswith("https://")
    for text in (entry.title, entry.licence, entry.size, entry.episodes, entry.pictures):
        assert text
    assert entry.shapes
    assert sum(map(bool, (entry.fetch.url, entry.fetch.command, entry.fetch.steps))) == 1
    assert bool(entry.folder) == bool(entry.command)  # a recording is a store at once
    if entry.command:
        imported = [entry.filled(part) for part in entry.command]
        assert imported[:4] == ["vip-offline", "import", str(entry.source), str(entry.store)]
    assert not set(entry.fetch.sha256) - set("0123456789abcdef")
    assert entry.state in ("fetch", "record", "by hand")


def test_cards_lie_where_an_installation_has_them() -> None:
    assert ROOT / "vip_offline" in CARDS.parents
    assert len(cards()) == len(list(CARDS.iterdir())) == 8


def test_every_card_is_listed_for_people() -> None:
    text = (ROOT / "datasets/README.md").read_text()
    for name, entry in cards().items():
        assert f"`{name}`" in text
        assert entry.origin in text


def test_what_is_here(tmp_path: Path) -> None:
    assert card("robomimic-lift-ph").state == "fetch"
    (tmp_path / "datasets/sources/robomimic-lift-ph").mkdir(parents=True)
    (tmp_path / "datasets/sources/robomimic-lift-ph/image.hdf5.part").touch()
    assert card("robomimic-lift-ph").state == "fetch"
    (tmp_path / "datasets/sources/robomimic-lift-ph/image.hdf5").touch()
    assert card("robomimic-lift-ph").state == "fetched"
    store = tmp_path / "datasets/robomimic-lift-ph.zarr"
    store.mkdir()
    assert card("robomimic-lift-ph").state == "fetched"
    (store / "zarr.json").touch()
    assert card("robomimic-lift-ph").state == "store"


def test_what_was_put_there_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "datasets/sources/ego4d-clips"
    assert card("ego4d-clips").state == "by hand"
    folder.mkdir(parents=True)
    assert card("ego4d-clips").state == "by hand"
    (folder / "a.mp4").touch()
    assert card("ego4d-clips").state == "fetched"


def test_a_name_that_is_none() -> None:
    with pytest.raises(VipOfflineError, match="Did you mean 'lerobot-pusht'"):
        card("lerobot-push")


def test_places_are_filled_in() -> None:
    entry = card("d4rl-kitchen-complete")
    assert entry.filled("{folder} {store}") == (
        "datasets/sources/d4rl-kitchen-complete datasets/d4rl-kitchen-complete.zarr"
    )
    assert str(entry.source).endswith("d4rl-kitchen-complete/D4RL/kitchen/complete-v2")
    raw = tomllib.loads((CARDS / "d4rl-kitchen-complete.toml").read_text())
    assert raw["fetch"]["environment"] == {"MINARI_DATASETS_PATH": "{folder}"}
