"""What README and documentation show is what the program does."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import origins
import people_files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from docs_pages import (
    OTHERS,
    PAGES,
    ROOT,
    RUN,
    Reader,
    blocks,
    environment,
    headings,
    links,
    reading,
)
from in_process import invoke
from markdown_it import MarkdownIt
from PIL import Image

from vip_offline.cli import app
from vip_offline.dataset.store import open_store
from vip_offline.options import CompareOptions

DOCS = ROOT / "docs"
README = ROOT / "README.md"
NOT_RUN = 16  # blocks that say why they are not run
ARMS = ("bc", "rwr-return", "rwr-outcome")
# options of other programs that pages name
FOREIGN = {
    *("--nproc_per_node", "--cpu", "--logdir", "--strict", "--dist"),  # torchrun, mkdocs, pytest
    *("--driver", "--set", "--record", "--server", "--client", "--unnamed", "--patience", "--held"),
    *("--help", "--success", "--quick", "--state"),  # franka_loop.py, benchmarks, tests/torture
}


def stdout_of(*arguments: str, cwd: Path) -> str:
    ended = invoke(*arguments, cwd=cwd)
    assert ended.code in (None, 0), ended
    return ended.stdout


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quickstart ran, on next to nothing."""
    folder = tmp_path_factory.mktemp("quickstart")
    small_recipe(folder)
    stdout_of("run", "recipes/quickstart.toml", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the drawn arm's demonstrations, as stores of one camera and of two."""
    folder = tmp_path_factory.mktemp("arm")
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    with reading(folder) as reader:
        (make,) = (block for block in blocks(YOUR_ARM) if "example_arm.py" in block.code)
        reader.type(make)
    keys = ("action=robot.cmd_x,robot.cmd_y,robot.cmd_grip", "proprio=robot.x,robot.y,robot.grip")
    mapped = [word for key in keys for word in ("--key-map", key)]
    stdout_of("import", "demos", "demos.zarr", *mapped, "--camera", "front", cwd=folder)
    stdout_of("import", "demos", "two-cameras.zarr", *mapped, cwd=folder)
    stdout_of("relabel", "demos.zarr", cwd=folder)
    return folder


def small_recipe(folder: Path) -> None:
    """The recipes, of which the quickstart is as small as the one for tests."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    small = (ROOT / "recipes/smoke.toml").read_text()
    arms = ", ".join(f'"{arm}"' for arm in ARMS)
    small = re.sub(r"(?m)^arms = .*", f"arms = [{arms}]", small)
    small = small.replace('encoder = "random-resnet18"', 'encoder = "lite0"')
    (folder / "recipes/quickstart.toml").write_text(small)


@pytest.fixture
def page_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Makes the folder in which a page is read."""

    def make(page: Path) -> Path:
        folder = tmp_path / "reader"
        start = SET_UPS[page]
        if isinstance(start, str):
            shutil.copytree(request.getfixturevalue(start), folder)
        else:
            folder.mkdir()
            start(folder)
        if page in MORE:
            MORE[page](folder)
        return folder

    yield make


def nothing(folder: Path) -> None:
    """A page that makes all that it uses."""


def scripts(folder: Path) -> None:
    """The recipes, of which that of an arm trains next to nothing."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    recipe = folder / "recipes/your-arm.toml"
    recipe.write_text(recipe.read_text().replace("steps = 5_000", "steps = 20"))


def film(folder: Path) -> None:
    people_files.video(folder / "my-video.mp4")


def films(folder: Path) -> None:
    for index in range(10):
        people_files.video(folder / f"videos/{index}.mp4")


def description(folder: Path) -> None:
    actions = '["dx [cm]", "dy [cm]", "dz [cm]", "gripper"]'
    (folder / "arm.toml").write_text(f"action = {actions}\ncontrol_rate = 25\n")


def sources(folder: Path) -> None:
    """What `import` is shown with: a set of each format, as people have them."""
    origins.lerobot(folder / "data/pusht")
    origins.robomimic(folder / "lift.hdf5")
    films(folder)
    (folder / "videos").rename(folder / "clips")
    for name, rows in (("demos", 12), ("fast", 60)):
        steps = np.arange(rows) / rows
        episode = folder / name / "pick_0"
        people_files.video(episode / "front.mp4", rate=10, length=12)
        np.savez(episode / "robot.npz", q1=steps, q2=steps, command=np.stack([steps, -steps], 1))
        if name == "demos":
            people_files.table(episode / "log.csv", ["grip", *(f"{step}" for step in steps)])


def labelled(folder: Path) -> None:
    """Stores of LeRobot's and robomimic's data, beside those of the arm."""
    sources(folder / "origins")
    for source, store in (("data/pusht", "pick.zarr"), ("lift.hdf5", "lift.zarr")):
        stdout_of("import", f"origins/{source}", store, cwd=folder)
        stdout_of("relabel", store, "--encoder", "pixels", cwd=folder)


def scored(folder: Path) -> None:
    """What another tool says of the arm's demonstrations."""
    spans = open_store(folder / "demos.zarr").spans()
    columns = {
        "episode_index": np.concatenate([np.full(b - a, k) for k, (a, b) in enumerate(spans)]),
        "frame_index": np.concatenate([np.arange(b - a) for a, b in spans]),
        "progress_sparse": np.concatenate([np.linspace(0, 1, b - a) for a, b in spans]),
    }
    pq.write_table(pa.table(columns), folder / "sarm_progress.parquet")


YOUR_ARM = DOCS / "tutorials/your-arm.md"
SET_UPS: dict[Path, str | Callable[[Path], None]] = {
    README: "quickstart",
    DOCS / "tutorials/quickstart.md": "quickstart",
    YOUR_ARM: scripts,
    DOCS / "guides/your-data.md": sources,
    DOCS / "guides/goals-and-rewards.md": "arm",
    DOCS / "guides/is-the-reward-any-good.md": "arm",
    DOCS / "guides/choosing-tau.md": "arm",
    DOCS / "guides/encoders.md": nothing,
    DOCS / "guides/pretraining.md": "arm",
    DOCS / "guides/online.md": nothing,
    DOCS / "guides/planning.md": nothing,
    DOCS / "guides/export.md": "arm",
    DOCS / "guides/robot.md": "quickstart",
    DOCS / "reference/store.md": "quickstart",
}
MORE: dict[Path, Callable[[Path], None]] = {
    README: film,
    DOCS / "guides/goals-and-rewards.md": scored,
    DOCS / "guides/is-the-reward-any-good.md": film,
    DOCS / "guides/pretraining.md": films,
    DOCS / "guides/export.md": labelled,
    DOCS / "guides/robot.md": description,
}


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.timeout(900)  # on a machine that has other work
@pytest.mark.parametrize("page", SET_UPS, ids=lambda page: page.stem)
def test_a_reader_who_types_the_page_gets_to_its_end(
    page: Path, page_folder: Callable[[Path], Path]
) -> None:
    with reading(page_folder(page)) as reader:
        for block in blocks(page):
            if block.language in RUN and not block.not_run:
                reader.type(block)


def test_every_page_with_code_is_run_and_what_is_not_says_why() -> None:
    code = [block for page in PAGES for block in blocks(page) if block.language in RUN]
    assert {block.page for block in code if not block.not_run} == {*SET_UPS}
    left_out = [str(block) for block in code if block.not_run]
    assert len(left_out) == NOT_RUN, left_out


def program_options() -> dict[str, set[str]]:
    """Options of each command; of one with commands of its own, theirs."""
    commands = vars(typer.main.get_command(app))["commands"]
    return {
        name: {
            flag
            for part in vars(command).get("commands", {"": command}).values()
            for option in part.params
            for flag in (*option.opts, *option.secondary_opts)
        }
        for name, command in commands.items()
    }


def code_of(page: Path) -> Iterator[str]:
    """Lines of blocks of shell, and spans of code."""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.info == "sh":
            yield from token.content.splitlines()
        yield from (child.content for child in token.children or () if child.type == "code_inline")


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    options = program_options()
    known = set().union(*options.values()) | FOREIGN
    for line in code_of(page):
        flags = re.findall(r"(?<![\w-])--[a-z][\w-]*", line.split(" #")[0])
        command = re.match(r"(?:vip-offline )(\w+)|(\w+)(?= --?\w)", line)
        name = command[1] or command[2] if command else ""
        if line.startswith("vip-offline ") and name:
            assert name in options, line
        for flag in flags:
            assert flag in options.get(name, known), f"{line}: no {flag}"


def test_commands_name_their_store() -> None:
    """After the quickstart there are two under datasets/, so that none is the only one."""
    shown = [block for page in PAGES for block in blocks(page) if block.language == "sh"]
    for block in shown:
        for line in block.code.splitlines():
            verbs = "relabel|analyze|train|compare|inspect|export"
            command = re.match(rf"vip-offline ({verbs}) +(.*)", line)
            assert command is None or re.match(r"[^-#\s]", command[2]), line


def test_policy_folders_are_where_the_commands_write_them() -> None:
    written = "|".join(
        (
            r"runs/drawer-close/(bc|rwr-outcome-tau-auto)",
            rf"runs/quickstart/policies/({'|'.join(CompareOptions.arms)})",
            "runs/arm",
            "runs/hard",
        )
    )
    named = [
        folder
        for page in (*PAGES, *OTHERS)
        for folder in re.findall(
            r"(?:rollout|ship|verify|serve|load_policy\(\") ?(runs/[\w./-]+)", page.read_text()
        )
    ]
    assert len(named) >= 8
    for folder in named:
        assert re.fullmatch(rf"({written})(/seed-\d)?", folder), folder


@pytest.mark.slow
@pytest.mark.sim
def test_policies_are_where_the_pages_say(quickstart: Path, tmp_path: Path) -> None:
    store = quickstart / "datasets/quickstart.zarr"
    for algo, folder in ((["--algo", "bc"], "bc"), ([], "rwr-outcome-tau-auto")):
        stdout_of("train", str(store), *algo, "--steps", "2", "--tau", "auto", cwd=tmp_path)
        assert (tmp_path / "runs/quickstart" / folder / "seed-0/manifest.json").is_file()


def test_the_scripts_are_there() -> None:
    named = re.findall(r"^bash (\S+)", README.read_text(), re.MULTILINE)
    assert "tests/run.sh" in named
    for script in named:
        assert (ROOT / script).is_file()
        subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert "bash tests/run.sh" in (ROOT / ".ci/run").read_text()


@pytest.mark.slow
@pytest.mark.sim
def test_the_tree_is_the_one_that_inspect_prints(quickstart: Path) -> None:
    """Same arrays, dtypes and trailing shapes, for another number of rows."""

    def tree(text: str) -> dict[str, tuple[str, str]]:
        rows = re.findall(r"^(\w+/\S+)\s+(\(.*?\))\s+(\w+)\s*$", text, re.MULTILINE)
        return {name: (shape, dtype) for name, shape, dtype in rows}

    page = DOCS / "reference/store.md"
    (shown,) = (block.code for block in blocks(page) if block.code.startswith("array"))
    ours, theirs = tree(shown), tree(stdout_of("inspect", cwd=quickstart))
    assert list(ours) == list(theirs)
    for name, (shape, dtype) in ours.items():
        assert theirs[name][1] == dtype, name
        assert shape.count(",") == theirs[name][0].count(","), name


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in headings(target), f"{link}: has {sorted(headings(target))}"


@pytest.mark.slow
@pytest.mark.sim
def test_the_figure_is_drawn_by_its_script(quickstart: Path, tmp_path: Path) -> None:
    script, picture = DOCS / "figure.py", tmp_path / "figure.png"
    store = quickstart / "datasets/quickstart.zarr"
    command = [sys.executable, "-W", "error", *map(str, (script, store, picture))]
    subprocess.run(command, env=environment(), check=True)
    with Image.open(picture) as drawn, Image.open(DOCS / "figure.png") as shown:
        assert drawn.size == shown.size
    assert (DOCS / "figure.png").stat().st_size < 300_000


def test_the_recipe_on_the_page_is_the_one_in_the_repository() -> None:
    (shown,) = (block.code for block in blocks(YOUR_ARM) if block.language == "toml")
    text = (ROOT / "recipes/your-arm.toml").read_text()
    assert shown == re.sub(r"(?m)^#.*\n", "", text).lstrip()


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_results_are_those_of_the_files() -> None:
    """Success and difference of each arm in the README's table, from the comparison's file."""
    compared = json.loads((ROOT / "recipes/results/outcome-drawer-close.json").read_text())
    mean = {arm["name"]: arm["success"]["mean"] for arm in compared["arms"]}
    less_bc = {
        difference["a"]: difference
        for difference in compared["differences"]
        if difference["b"] == "bc"
    }
    text = README.read_text()
    for arm in ("rwr-outcome", "rwr-outcome-permuted", "rwr-outcome-length"):
        row = less_bc[arm]
        points = [f"{100 * row[key]:+.0f}" for key in ("mean", "low", "high")]
        assert f"| {100 * mean[arm]:.0f} | {points[0]} ({points[1]} to {points[2]}) |" in text, arm


def test_a_block_that_fails_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nvip-offline inspect nowhere.zarr\n```\n\n```python\nassert 0\n```\n")
    for block in blocks(page):
        with pytest.raises(AssertionError):
            Reader(tmp_path).type(block)
