"""vip-mini is trained on no object of the tasks that it is tried on: by Meta-World's own models.

What a model is made of is read twice. Its files say which objects it includes; but the puck of push
is written into push's own file, and the mesh that it includes is never drawn. So the shapes of the
compiled model are compared as well, whatever file they come from.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from vip_offline.config import load_pretrain_recipe
from vip_offline.options import PretrainRecipe
from vip_offline.simulation.suites.metaworld import MetaworldSimulator, tasks

RECIPES = [Path("recipes/vip-mini.toml"), Path("recipes/vip-mini-objectives.toml")]
HELD_OUT = ("drawer-", "door-", "push", "pick-place")  # no task of such a name is trained on

Part = tuple[str | float, ...]  # what is the same in two models if an object is


@dataclass(frozen=True)
class Made:
    """What a task's model is made of, and by which name."""

    files: Mapping[Part, str]  # (tag, hash of the content) -> path from the model's folder
    meshes: tuple[int, int]  # that the files load, and that the compiled model has
    shapes: Mapping[Part, str]  # (type, sizes in m) -> body, or geometry where that has no name

    @property
    def objects(self) -> dict[Part, str]:
        """Shapes, meshes, and files that are included; a texture or a colour is no object."""
        return {
            **self.shapes,
            **{part: p for part, p in self.files.items() if part[0] != "texture"},
        }


def read(recipe: Path) -> PretrainRecipe:
    found = load_pretrain_recipe(recipe)
    assert found is not None
    return found


@cache
def held_out() -> list[str]:
    return [task for task in tasks() if task.startswith(HELD_OUT)]


@cache
def made(task: str) -> Made:
    with MetaworldSimulator(task, 32) as simulator:
        path, model = Path(simulator._env.model_name), simulator._env.model
        loads = list(walk(path, path.parent))
        # a file that is missing raises: a folder that the walk does not know of would hide objects
        files: dict[Part, str] = {
            (tag, hashlib.sha256((path.parent / file).read_bytes()).hexdigest()): file
            for tag, file in loads
        }
        meshes = sum(tag == "mesh" for tag, _ in loads)
        return Made(files, (meshes, model.nmesh), dict(shapes(model)))


def walk(xml: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Tag and path of each file that a model loads; MuJoCo takes all from the model's folder."""
    for element in ElementTree.parse(xml).iter():
        for attribute, file in element.attrib.items():
            if attribute.startswith("file"):  # a cube texture has six: fileright, fileleft, ...
                yield element.tag, file
                if element.tag == "include":
                    yield from walk(folder / file, folder)


def shapes(model: Any) -> Iterator[tuple[Part, str]]:
    """The geometries, drawn or not; of a mesh its vertices' number and extents, in order of size.

    A mesh's frame is that of its inertia, so neither its place counts nor how it is turned.
    """
    for geom in range(model.ngeom):
        name = model.body(model.geom_bodyid[geom]).name or model.geom(geom).name
        mesh = model.geom_dataid[geom]
        if mesh < 0:
            sizes = model.geom_size[geom].round(4).tolist()
            yield (f"type {model.geom_type[geom]}", *sizes), name
        else:
            first, count = model.mesh_vertadr[mesh], int(model.mesh_vertnum[mesh])
            extents = np.ptp(model.mesh_vert[first : first + count], axis=0)
            yield ("mesh", count, *np.sort(extents).round(3).tolist()), name


def scenery(recipe: Path) -> set[Part]:
    """What every task has, trained on or held out: it tells none of them from the others."""
    everywhere = [made(task) for task in (*read(recipe).tasks, *held_out())]
    return set.intersection(*({*each.files, *each.shapes} for each in everywhere))


def shared(task: str, other: str, scenery: set[Part]) -> set[str]:
    """Names, as `task` has them, of objects that the other task has as well."""
    one = made(task).objects
    return {Path(one[part]).name for part in (one.keys() & made(other).objects.keys()) - scenery}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_train_on_no_task_of_a_held_out_name(recipe: Path) -> None:
    trained = read(recipe).tasks
    assert len(set(trained)) == len(trained) == 27
    assert not [task for task in trained if task.startswith(HELD_OUT)]
    assert set(trained) == set(read(RECIPES[0]).tasks)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_encoders_are_tried_on_held_out_tasks_alone(recipe: Path) -> None:
    tried = read(recipe).trial.tasks
    assert tried
    assert all(task.startswith(HELD_OUT) for task in tried)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_no_training_task_shares_an_object_with_a_held_out_one(recipe: Path) -> None:
    common = scenery(recipe)
    pairs = itertools.product(read(recipe).tasks, held_out())
    found = {pair: names for pair in pairs if (names := shared(*pair, common))}
    assert not found


@pytest.mark.slow
@pytest.mark.sim
def test_vip_mini_2_shares_no_object_with_the_tasks_it_is_tried_on() -> None:
    """Of Meta-World; OGBench's scene holds drawer, window, buttons and cube at once."""
    recipe = read(Path("recipes/vip-mini-2.toml"))
    trained, tried = (
        [task for task in tasks if "/" not in task]
        for tasks in ((*recipe.tasks, *recipe.held_out_tasks), recipe.trial.tasks)
    )
    common = set.intersection(
        *({*made(task).files, *made(task).shapes} for task in (*trained, *tried))
    )
    shared_objects = {
        pair: names
        for pair in itertools.product(trained, tried)
        if (names := shared(*pair, common))
    }
    assert not shared_objects
    assert not set(recipe.tasks) & {*recipe.held_out_tasks, *recipe.trial.tasks}


@pytest.mark.slow
@pytest.mark.sim
def test_what_other_tasks_share_is_found() -> None:
    """Those that the recipe leaves out, and why: a block, a wall, a cube of 4 cm."""
    common = scenery(RECIPES[0])
    left_out = set(tasks()) - set(read(RECIPES[0]).tasks) - set(held_out())
    found = {
        task: set().union(*(shared(task, other, common) for other in held_out()))
        for task in left_out
    }
    block = {"block_dependencies.xml", "block.stl"}
    assert found == {
        # by their files
        "reach": {*block, "obj"},
        "reach-wall": {*block, "wall_dependencies.xml", "wall"},
        "pick-out-of-hole": {*block, "obj"},
        "hand-insert": {*block, "obj"},
        "sweep": {*block, "objGeom"},
        "sweep-into": {*block, "obj"},
        "button-press-wall": {"wall_dependencies.xml"},
        "button-press-topdown-wall": {"wall_dependencies.xml"},
        # by their shapes alone: a cube that is written into the model's own file
        "bin-picking": {"objA"},
        "shelf-place": {"obj"},
        # these share none; they are left out for what is done in them
        "coffee-push": set(),
        "stick-push": set(),
    }


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize(
    ("task", "other", "names"),
    [
        ("door-lock", "door-open", {"doorlock_dependencies.xml", "door.stl"}),
        ("drawer-open", "drawer-close", {"drawer.xml", "drawer.stl", "drawer_link"}),
        ("push-wall", "pick-place-wall", {"block_dependencies.xml", "wall_dependencies.xml"}),
        ("plate-slide", "plate-slide-back", {"puck.xml", "puck_goal.xml", "goal_net.stl"}),
    ],
)
def test_tasks_with_one_object_are_found_to_share_it(
    task: str, other: str, names: set[str]
) -> None:
    assert names <= shared(task, other, scenery(RECIPES[0]))


@pytest.mark.slow
@pytest.mark.sim
def test_scenery_is_the_robot_the_table_and_the_room() -> None:
    """That of all 50 tasks, and the usual table; two tasks have another one, with a hole."""
    common = scenery(RECIPES[0])
    files = {file for part, file in made("push").files.items() if part in common}
    assert {Path(file).parent.name for file in files if file.endswith(".stl")} == {
        "xyz_base",
        "table",
    }
    assert {Path(file).name for file in files if not file.endswith(".stl")} == {
        "basic_scene.xml",
        "xyz_base.xml",
        "xyz_base_dependencies.xml",
        "floor2.png",
        "metal.png",
        "wood2.png",
    }
    of_all = set.intersection(*(set(made(task).files) for task in tasks()))
    assert {file for part, file in made("push").files.items() if part in common - of_all} == {
        "../scene/basic_scene.xml",
        "../textures/metal.png",
    }
    for task in (*read(RECIPES[0]).tasks, *held_out()):
        assert made(task).shapes.keys() - common, f"{task} has no object"


@pytest.mark.sim
def test_two_metals_are_shared_beside_the_scenery() -> None:
    """The doors' own, with the faucet, the handle and others: a texture, no object."""
    common = scenery(RECIPES[0])
    found = {
        other: {
            made(other).files[part]
            for task in read(RECIPES[0]).tasks
            for part in (made(task).files.keys() & made(other).files.keys()) - common
        }
        for other in held_out()
    }
    metals = {"../textures/metal1.png", "../textures/metal2.png"}
    assert found == {task: metals if task.startswith("door-") else set() for task in held_out()}


@pytest.mark.sim
def test_the_walk_misses_no_mesh() -> None:
    for task in tasks():
        walked, compiled = made(task).meshes
        assert walked == compiled, task
