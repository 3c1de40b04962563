"""Folders sort in the order of the data flow; each imports only from those before it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vip_offline"
SHARED = {
    "caches",
    "console",
    "ending",
    "errors",
    "help_page",
    "processes",
    "recipe",
    "__version__",
}
PURE = {
    "data/checking.py",
    "data/episode.py",
    "encode/objectives.py",
    "label/nearest.py",
    "label/rewards.py",
    "learn/weights.py",
    "report/analysis/progress.py",
    "report/analysis/reattempts.py",
    "report/analysis/ruling.py",
    "report/statistics.py",
}  # maths: of ours they import errors alone
HOMES = {
    "zarr": ("data/",),
    "accelerate": ("encode/pretrain.py",),
    "tensorboard": ("encode/pretrain.py",),
    "torchvision": ("encode/",),
    "efficientnet_lite_pytorch": ("encode/",),
    "d3rlpy": ("learn/",),
    "timm": ("encode/architectures.py",),
    "open_clip": ("encode/architectures.py", "encode/text.py"),
    "onnxruntime": ("encode/backends.py", "learn/loaded.py"),
    "onnx": ("learn/whole_graph.py", "run/shipping.py"),
    "safetensors": ("encode/checkpoints.py", "learn/policy.py"),
    "mujoco": ("run/drawing.py",),
    "triton": ("run/drawing.py",),
    "metaworld": ("run/simulators.py",),
    "gymnasium": ("run/", "data/sources/minari.py", "data/exports/minari.py"),
    "matplotlib": ("report/",),
    "typer": ("cli.py", "help_page.py"),
    "av": ("data/video.py",),
    "h5py": ("data/sources/robomimic.py", "data/sources/hdf5_tree.py", "data/exports/robomimic.py"),
    "hdf5plugin": ("data/sources/hdf5_tree.py",),
    "imagecodecs": ("data/zarr_arrays.py",),
    "numcodecs": ("data/exports/replay.py", "data/shards.py"),
    "pyarrow": (
        *("data/sources/", "data/exports/"),
        *("data/cells.py", "data/columns.py", "data/delimited.py", "data/tables.py"),
    ),
    "minari": ("data/sources/minari.py", "data/exports/minari.py"),
    "msgpack": ("serve/",),
    "websockets": ("serve/",),
}
FILES = sorted(PACKAGE.rglob("*.py"))
STAGES = sorted(path for path in FILES if path.parent != PACKAGE)


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported(path: Path, *, at_import: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the import in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", STAGES, ids=name)
def test_imports_point_upstream(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    for each in imported(path):
        if each.startswith("vip_offline."):
            stage = each.split(".")[1]
            assert stage in SHARED or stage <= own, (
                f"{own}/{path.name} imports {each}, but {stage}/ comes after {own}/"
            )
            assert stage != "cli", f"{path.name} imports the command line"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_heavy_dependencies_have_one_home(path: Path) -> None:
    for each in imported(path):
        homes = HOMES.get(each.split(".")[0])
        if homes:
            assert name(path).startswith(homes), f"{name(path)} imports {each}; its home: {homes}"


@pytest.mark.parametrize("pure", sorted(PURE))
def test_maths_knows_arrays_only(pure: str) -> None:
    ours = {each for each in imported(PACKAGE / pure) if each.startswith("vip_offline")}
    assert all(each.startswith("vip_offline.errors.") for each in ours), ours


def test_the_command_line_imports_nothing_heavy() -> None:
    light = {*sys.stdlib_module_names, "typer", "rich", "vip_offline"}
    heavy = set(imported(PACKAGE / "cli.py", at_import=True))
    assert {each.split(".")[0] for each in heavy} <= light
    ours = {each.split(".")[1] for each in heavy if each.startswith("vip_offline.")}
    assert ours <= SHARED


def test_every_folder_says_what_it_reads_and_writes() -> None:
    for folder in sorted({path.parent for path in STAGES}):
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert "rites" in text and "eads" in text, folder


def test_tests_mirror_the_tree() -> None:
    missing = [
        name(path)
        for path in STAGES
        if path.name != "__init__.py"
        and not (ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")).exists()
    ]
    assert not missing
