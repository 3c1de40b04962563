import io
import json
from pathlib import Path

from conftest import LENGTHS

from vip_offline.dataset.store import open_store
from vip_offline.report.terminal.store import describe_store, print_description
from vip_offline.utils.console import Console


def test_what_a_store_holds(labelled: Path) -> None:
    description = describe_store(open_store(labelled))
    assert json.loads(json.dumps(description)) == description
    assert description["episodes"] == 3
    assert description["successes"] == 2
    assert description["lengths"] == [5, 7]
    assert description["kinds"] == {"expert": 2, "frozen": 1}
    console = Console(file=io.StringIO(), width=80)
    print_description(description, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("3 of 3 episodes", "2 successes", f"{sum(LENGTHS)} rows", "labels/pixels"):
        assert part in text
    row = next(line for line in text.splitlines() if line.startswith("data/frames_front"))
    assert "(18, 32, 32, 3)" in row
    assert "uint8" in row
    assert "encoder: pixels" in text


def test_an_empty_store(tmp_path: Path) -> None:
    from vip_offline.dataset.store_writer import writing

    path = tmp_path / "x.zarr"
    with writing(path, create={"episodes_planned": 4}):
        pass
    console = Console(file=io.StringIO(), width=80)
    description = describe_store(open_store(path))
    print_description(description, console)
    numbers = {key: description[key] for key in ("episodes", "successes", "unlabelled", "rows")}
    assert numbers == dict.fromkeys(numbers, 0)
    assert (description["lengths"], description["kinds"]) == ([], {})
    assert "0 of 4 episodes (none)" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_nuisance_of_its_pictures_is_shown(tmp_path: Path) -> None:
    from vip_offline.dataset.store_writer import writing

    path = tmp_path / "x.zarr"
    settings = {"nuisance": ["camera", "tint"], "nuisance_level": 2}
    with writing(path, create={"task": "push", "record": settings}):
        pass
    console = Console(file=io.StringIO(), width=80)
    print_description(describe_store(open_store(path)), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "task push, nuisance camera+tint at level 2\n" in text


def test_long_names_are_whole_in_80_columns() -> None:
    name = f"embeddings/an-encoder-of-ones-own/{'camera-' * 9}@content"
    tree = [{"path": name, "shape": "(2841, 128, 128, 3)", "dtype": "float32", "attributes": {}}]
    console = Console(file=io.StringIO(), width=80)
    description = {"path": "x.zarr", "attributes": {}, "episodes": 0, "successes": 0,
                   "unlabelled": 0, "rows": 0, "lengths": [], "kinds": {},
                   "tree": tree}  # fmt: skip
    print_description(description, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert name in "".join(line.split("  ")[0].strip() for line in text.splitlines())
