"""What the README shows is what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM
from markdown_it import MarkdownIt

from vip_offline.options import CompareOptions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    tokens = MarkdownIt().parse(README)
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


@pytest.mark.slow
def test_the_commands_exist_with_their_options() -> None:
    commands = [
        line.split("#")[0].split()
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("vip-offline")
    ]
    assert len(commands) >= 7
    for command in commands:
        text = subprocess.run(
            [*PROGRAM, command[1], "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in (word for word in command if word.startswith("--")):
            assert option in text, f"{' '.join(command)}: no {option}"


def test_commands_name_their_store() -> None:
    """After the quickstart there are two under datasets/, so that none is the only one."""
    for block in blocks("sh"):
        for line in block.splitlines():
            verbs = "relabel|analyze|train|compare|inspect|export"
            command = re.match(rf"vip-offline ({verbs}) *(.*)", line)
            assert command is None or re.match(r"[^-#\s]", command[2]), line


def test_policy_folders_are_where_the_commands_write_them() -> None:
    written = "|".join(
        (
            r"runs/drawer-close/(bc|rwr-outcome-tau-auto)",
            rf"runs/quickstart/policies/({'|'.join(CompareOptions.arms)})",
        )
    )
    pages = README + (ROOT / "recipes/robot/README.md").read_text()
    named = re.findall(r"(?:rollout|ship|verify|serve|load_policy\(\") ?(runs/[\w./-]+)", pages)
    assert len(named) >= 4
    for folder in named:
        assert re.fullmatch(rf"({written})(/seed-\d)?", folder), folder


@pytest.mark.slow
@pytest.mark.sim
def test_policies_are_where_the_readme_says(smoke: Path, tmp_path: Path) -> None:
    store = smoke / "datasets/smoke.zarr"
    for algo, folder in ((["--algo", "bc"], "bc"), ([], "rwr-outcome-tau-auto")):
        command = [*PROGRAM, "train", str(store), *algo, "--steps", "2", "--tau", "auto"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        assert (tmp_path / "runs/smoke" / folder / "seed-0/manifest.json").is_file()
    assert (smoke / "runs/smoke/policies/rwr-return/seed-0/manifest.json").is_file()


def test_the_scripts_are_there() -> None:
    for script in re.findall(r"^bash (\S+)$", README, re.MULTILINE):
        assert (ROOT / script).is_file()
        subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert "bash tests/run.sh" in (ROOT / ".ci/run").read_text()


@pytest.mark.slow
@pytest.mark.sim
def test_the_tree_is_the_one_that_inspect_prints(smoke: Path) -> None:
    """Same arrays, dtypes and trailing shapes, for another number of rows and another encoder."""

    def tree(text: str) -> dict[str, tuple[str, str]]:
        rows = re.findall(r"^(\w+/\S+)\s+(\(.*?\))\s+(\w+)\s*$", text, re.MULTILINE)
        return {name: (shape, dtype) for name, shape, dtype in rows}

    (shown,) = (block for block in blocks("") if block.startswith("array"))
    told = subprocess.run(
        [*PROGRAM, "inspect"], cwd=smoke, capture_output=True, text=True, check=True
    ).stdout.replace("random-resnet18", "lite0")
    ours, theirs = tree(shown), tree(told)
    assert list(ours) == list(theirs)
    for name, (shape, dtype) in ours.items():
        assert theirs[name][1] == dtype, name
        assert shape.count(",") == theirs[name][0].count(","), name


@pytest.mark.slow
@pytest.mark.sim
def test_the_python_runs(smoke: Path) -> None:
    for block in blocks("python"):
        code = block.replace("quickstart", "smoke").replace("lite0", "random-resnet18")
        subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=smoke, check=True)


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "datasets/README.md"):
        text = (ROOT / page).read_text()
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
    assert "@@" not in README
