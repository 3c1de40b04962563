import subprocess
import sys

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.run.drawing import FEW_FACES, coarsened
from vip_offline.run.simulators import CORNER, Simulator

pytestmark = pytest.mark.sim


def test_coarser_meshes_draw_the_same_picture_and_leave_physics_alone() -> None:
    import mujoco

    with Simulator("drawer-close", 128) as simulator:
        fast = simulator.reset(3).frame
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
        "from vip_offline.run.drawing import choose_backend\n"
        "choose_backend()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert VipOfflineError.__name__ in result.stderr
    assert "apt-get install --no-install-recommends libegl1 libgl1" in result.stderr
