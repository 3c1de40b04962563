import os
import subprocess
import sys
import tarfile
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.rendering import FEW_FACES, coarsened
from vip_offline.simulation.suites.metaworld import CORNER, MetaworldSimulator

pytestmark = pytest.mark.sim


def test_coarser_meshes_draw_the_same_picture_and_leave_physics_alone() -> None:
    import mujoco

    with MetaworldSimulator("drawer-close", 128) as simulator:
        simulator.reset(3)
        fast = simulator.frame()
        model, data = simulator._env.model, simulator._env.data
        faces, normals = model.mesh_facenum.copy(), model.mesh_facenormal.copy()
        drawn = coarsened(model)
        np.testing.assert_array_equal(model.mesh_facenum, faces)
        np.testing.assert_array_equal(model.mesh_facenormal, normals)
        large = faces > FEW_FACES
        assert drawn.mesh_facenum[large].sum() < faces[large].sum() / 3
        np.testing.assert_array_equal(drawn.mesh_facenum[~large], faces[~large])
        for mesh in np.flatnonzero(large):
            start, count = drawn.mesh_faceadr[mesh], drawn.mesh_facenum[mesh]
            kept = drawn.mesh_face[start : start + count]
            assert kept.max() < drawn.mesh_vertnum[mesh]
            assert len({tuple(sorted(face)) for face in kept.tolist()}) == count
            assert all(len(set(face)) == 3 for face in kept.tolist())
    # the stock renderer, shadows off: the difference that is left is that of the meshes
    model.vis.quality.shadowsize = model.vis.quality.offsamples = 0
    renderer = mujoco.Renderer(model, 128, 128)
    options, camera = mujoco.MjvOption(), mujoco.MjvCamera()
    options.sitegroup[:] = 0
    camera.azimuth, camera.elevation = CORNER.azimuth, CORNER.elevation
    camera.distance, camera.lookat[:] = CORNER.distance, CORNER.lookat
    renderer.update_scene(data, camera, options)
    stock = renderer.render()
    renderer.close()
    off = np.abs(stock.astype(int) - fast).max(axis=-1) > 30
    assert off.mean() < 0.02  # of the pixels, at the meshes' edges
    assert np.ptp(fast) > 100


def test_no_library_says_what_to_install() -> None:
    code = (
        "import os, ctypes.util; os.environ.pop('MUJOCO_GL', None)\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from vip_offline.simulation.rendering import choose_gl_backend\n"
        "choose_gl_backend()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert VipOfflineError.__name__ in result.stderr
    assert "apt-get install --no-install-recommends libegl1 libgl1" in result.stderr


BEGIN = """
import os, sys
from vip_offline.simulation.gym_env import Metaworld
environment = Metaworld("drawer-close", 48)
first, _ = environment.reset(seed=0)
"""
VECTOR = """
import gymnasium, sys
from vip_offline.simulation.gym_env import Metaworld

def made():
    return Metaworld("drawer-close", 48)

if __name__ == "__main__":
    if sys.argv[1:] == ["drawn"]:
        with made() as environment:
            environment.reset(seed=0)
    vector = gymnasium.vector.AsyncVectorEnv([made] * 2, context="fork")
    observed, _ = vector.reset(seed=[0, 1])
    print(observed["frame/corner"].shape)
    vector.close()
"""


def interpreted(code: str, *given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("later", ["import torchvision", "from vip_offline.encoders import mini"])
def test_what_embeds_may_be_imported_after_the_first_frame(later: str) -> None:
    """Where Mesa draws, the process ended there with a segmentation fault."""
    result = interpreted(f"{BEGIN}\n{later}\nenvironment.reset(seed=1)\nprint('alive')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "alive\n", "")


def test_an_environment_that_nobody_closed_says_nothing() -> None:
    result = interpreted(BEGIN)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_a_fork_lets_go_of_what_it_cannot_draw_with() -> None:
    result = interpreted(
        f"{BEGIN}\nif os.fork() == 0: sys.exit(0)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")


@pytest.mark.slow
def test_forks_of_a_process_that_drew_nothing_draw() -> None:
    result = interpreted(VECTOR)
    assert (result.returncode, result.stdout) == (0, "(2, 48, 48, 3)\n"), result.stderr


@pytest.mark.slow
def test_forks_of_a_process_that_has_drawn_are_refused() -> None:
    """They waited forever, be it that the parent's environment was closed."""
    result = interpreted(VECTOR, "drawn")
    assert result.returncode == 1
    assert "had drawn before" in result.stderr
    assert "context='spawn'" in result.stderr


@pytest.mark.slow
def test_forks_of_a_process_that_has_embedded_are_refused() -> None:
    """They waited forever: the encoder's threads are in the first process alone."""
    embedded = VECTOR.replace("return Metaworld", "return EmbedPixels(Metaworld").replace(
        "48)", "48), load_encoder('pixels'))"
    )
    result = interpreted(
        "from vip_offline.encoders.encoder import load_encoder\n"
        f"from vip_offline.simulation.embedding_wrapper import EmbedPixels\n{embedded}"
    )
    assert result.returncode == 1
    assert "had loaded an encoder before" in result.stderr


@pytest.mark.slow
def test_an_environment_that_was_made_before_the_fork_is_refused() -> None:
    result = interpreted(f"{BEGIN}\nif os.fork() == 0: environment.reset(seed=0)\nos.wait()")
    assert "VipOfflineError: This process was forked from one" in result.stderr


BACKENDS = [
    ({"MUJOCO_GL": "bogus"}, "invalid value for environment variable MUJOCO_GL: bogus"),
    ({"MUJOCO_GL": "off"}, "turns drawing off"),
    ({"MUJOCO_GL": "glfw"}, "needs a screen, and none is named by DISPLAY or WAYLAND_DISPLAY"),
    # only who draws meets it: a side process
    ({"MUJOCO_GL": "glfw", "DISPLAY": ":99"}, "Failed to open display :99"),
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(Path(__file__).parents[1] / "written_by/0.1.0.tar.xz") as archive:
        members = [member for member in archive if member.name.startswith("policies/rwr")]
        archive.extractall(folder, members, filter="data")
    return folder / "policies/rwr"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["record", "rollout"])
@pytest.mark.parametrize(("variables", "why"), BACKENDS, ids=lambda value: "")
def test_a_backend_that_cannot_draw_here_is_one_message(
    tmp_path: Path, policy: Path, command: str, variables: dict[str, str], why: str
) -> None:
    given = {
        "record": ["record", "s.zarr", "--episodes", "1", "--failures", "0", "--image-size", "32"],
        "rollout": ["rollout", str(policy), "--placements", "1", "--horizon", "2", "--videos", "0"],
    }[command]
    without = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    result = subprocess.run(
        [*PROGRAM, *given],
        cwd=tmp_path,
        env={**without, **variables, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(errors) == 1
    assert errors[0].startswith(f"error: MUJOCO_GL={variables['MUJOCO_GL']}: MuJoCo cannot draw")
    assert why in errors[0]
    assert "Unset it" in errors[0]


@pytest.mark.skipif(find_library("OSMesa") is not None, reason="libOSMesa is installed here")
def test_a_library_that_is_missing_is_named() -> None:
    code = "import os; os.environ['MUJOCO_GL'] = 'osmesa'\n" + BEGIN
    assert "libOSMesa is not installed" in interpreted(code).stderr
