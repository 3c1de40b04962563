"""Fast headless pictures of a MuJoCo scene, a software renderer's way.

Without a GPU the time goes into shadows, then multisampling, then mesh vertices, which a reflecting
plane draws a second time, be it seen or not. So frames are drawn from a *copy* of the model without
any of these, with coarser meshes; physics never sees it. At the sizes that encoders take the
picture looks the same, 20 to 30 times as fast.
"""

import atexit
import copy
import ctypes.util
import os
import sys
import warnings
import weakref
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError, first_line
from vip_offline.utils.parallel import check_not_forked

if TYPE_CHECKING:
    from vip_offline.simulation.nuisances import Nuisance

CELL_SIZE = 0.008  # m, of the grid that mesh vertices snap to
SCENE_WIDTH, SCENE_HEIGHT = 0.4, 0.15  # of the camera's distance, to either side of its middle
FORK_CHECK = "drawn", "graphics"  # for `check_not_forked`
FEW_FACES = 300  # meshes at or below are drawn as they are
GL_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}  # of the ways to draw without a screen
EGL = "sudo apt-get install --no-install-recommends libegl1 libgl1-mesa-dri"

Point = tuple[float, float, float]  # x, y, z in m


@dataclass(frozen=True)
class View:
    """A free camera."""

    azimuth: float  # degrees
    elevation: float  # degrees
    distance: float  # m
    lookat: Point
    workspace: tuple[Point, Point] | None = None  # lowest and highest corner; None: about `lookat`

    @property
    def corners(self) -> tuple[Point, Point]:
        """Lowest and highest corner of where things are that the camera is to show."""
        if self.workspace is not None:
            return self.workspace
        (x, y, z), wide, high = (
            self.lookat,
            SCENE_WIDTH * self.distance,
            SCENE_HEIGHT * self.distance,
        )
        return (x - wide, y - wide, z - high), (x + wide, y + wide, z + high)


def coarsened(model: Any, cell: float = CELL_SIZE) -> Any:
    """Copy a model with its large meshes clustered on a grid of `cell` metres.

    All vertices of a cell share one of them; faces that collapse or coincide are dropped, and
    the others move to the front of the mesh's block.
    """
    drawn = copy.copy(model)
    for mesh in range(drawn.nmesh):
        faces_there = int(drawn.mesh_facenum[mesh])
        if faces_there <= FEW_FACES:
            continue
        first_vertex, first_face = drawn.mesh_vertadr[mesh], drawn.mesh_faceadr[mesh]
        block = slice(first_face, first_face + faces_there)
        vertices = drawn.mesh_vert[first_vertex : first_vertex + drawn.mesh_vertnum[mesh]]
        cells = np.round(vertices / cell).astype(np.int64)
        _, representative, cell_of = np.unique(
            cells, axis=0, return_index=True, return_inverse=True
        )
        corners = cell_of.reshape(-1)[drawn.mesh_face[block]]  # (F, 3) cells
        a, b, c = corners.T
        non_degenerate = (a != b) & (b != c) & (a != c)
        _, distinct = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
        faces = np.intersect1d(np.flatnonzero(non_degenerate), distinct)
        front = slice(first_face, first_face + len(faces))
        for name in ("mesh_facenormal", "mesh_facetexcoord"):
            array = getattr(drawn, name)
            array[front] = array[block][faces]
        drawn.mesh_face[front] = representative[corners[faces]]
        drawn.mesh_facenum[mesh] = len(faces)
    return drawn


def choose_gl_backend() -> None:
    """Set MUJOCO_GL before mujoco is first imported, if the user has not; check it if he has.

    Raises:
        VipOfflineError: on Linux without a display library that works headless; on a backend that
            is unknown or not installed, that needs a screen where there is none, or draws nothing.
    """
    if sys.platform.startswith("linux") and not os.environ.get("MUJOCO_GL"):
        for backend, library in GL_LIBRARIES.items():
            if ctypes.util.find_library(library):
                os.environ["MUJOCO_GL"] = backend
                break
        else:
            raise VipOfflineError(f"No headless OpenGL library is here. On Debian or Ubuntu: {EGL}")
    if not find_spec("mujoco"):
        return  # whoever imports the simulator says how to get it
    try:
        import mujoco
    except Exception as error:  # without a library PyOpenGL fails at whatever it looks up first
        library = GL_LIBRARIES.get(os.environ.get("MUJOCO_GL", "").lower().strip(), "")
        missing = library and not ctypes.util.find_library(library)
        raise _no_drawing(f"lib{library} is not installed" if missing else error) from None
    if not hasattr(mujoco.gl_context, "GLContext"):
        raise _no_drawing("it turns drawing off")
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if (
        sys.platform.startswith("linux")
        and mujoco.gl_context.GLContext.__module__ == "mujoco.glfw"
        and not any(os.environ.get(screen) for screen in screens)
    ):
        raise _no_drawing(f"it needs a screen, and none is named by {' or '.join(screens)}")


def _no_drawing(why: object) -> VipOfflineError:
    """What to say where no frame can be drawn."""
    backend = os.environ.get("MUJOCO_GL", "")
    return VipOfflineError(
        f"MUJOCO_GL={backend}: MuJoCo cannot draw by it here ({first_line(why)}). Unset it, or on "
        f"a computer without a screen MUJOCO_GL=egl (Debian, Ubuntu: {EGL})."
    )


@cache
def _load_triton() -> None:
    """Load it before anything is drawn.

    triton comes with torch, and brings an LLVM; so does Mesa, which draws where there is no
    graphics card. Loaded after Mesa's, as by torchvision, triton's ends the process with a
    segmentation fault; before it, none of them minds. Alone it takes 0.1 s and 75 MB, torchvision
    several seconds: so nothing else is imported, be it in a process that only records.
    """
    if find_spec("triton"):
        import triton  # noqa: F401


def locate(model: Any, data: Any) -> None:
    """Compute where everything is, after somebody moved a body without a step of physics."""
    import mujoco

    mujoco.mj_kinematics(model, data)


class Renderer:
    """Draws the states of one model, from one view, at one size; in the process that made it.

    Raises:
        VipOfflineError: where MuJoCo cannot draw, and in a fork of a process that has drawn.
    """

    def __init__(self, model: Any, view: View, image_size: int) -> None:
        check_not_forked(*FORK_CHECK)
        _load_triton()
        import mujoco

        drawn = coarsened(model)
        drawn.vis.quality.shadowsize = 0
        drawn.vis.quality.offsamples = 0
        drawn.vis.global_.offwidth = max(drawn.vis.global_.offwidth, image_size)
        drawn.vis.global_.offheight = max(drawn.vis.global_.offheight, image_size)
        self._renderer = _renderer(drawn, image_size)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._free = weakref.finalize(self, _free, self._renderer, os.getpid())
        # not by finalize's own hook, which may be older, and so run later, than the one by which
        # mujoco ends EGL; every other renderer of the process would print its traceback
        self._free.atexit = False
        atexit.register(self._free)
        self._options = mujoco.MjvOption()
        self._options.sitegroup[:] = 0  # sites mark the goal: neither policy nor encoder sees it
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._view = view

    def __call__(self, data: Any, nuisance: "Nuisance | None" = None) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) uint8 RGB of a physics state.

        Args:
            data: MuJoCo's `MjData`.
            nuisance: of this picture alone; None: it is clean.
        """
        check_not_forked(*FORK_CHECK)
        view = self._view if nuisance is None else nuisance.seen(self._view)
        self._camera.azimuth, self._camera.elevation = view.azimuth, view.elevation
        self._camera.distance = view.distance
        self._camera.lookat[:] = view.lookat
        self._renderer.update_scene(data, self._camera, self._options)
        if nuisance is not None:
            nuisance.paint(self._renderer.scene, self._renderer.model, self._view)
        frame: NDArray[np.uint8] = self._renderer.render()
        return frame

    @property
    def model(self) -> Any:
        """What is drawn: a copy, whose lights and colours may be changed; physics never sees it."""
        return self._renderer.model

    def close(self) -> None:
        """Free the graphics context; the interpreter's exit does it for whoever forgets."""
        self._free()
        atexit.unregister(self._free)


def _free(renderer: Any, process: int) -> None:
    """Free a renderer; a fork of its process only forgets it, since freeing would wait forever."""
    if os.getpid() == process:
        renderer.close()
    elif renderer._gl_context is not None:
        renderer._gl_context._context = None


def _renderer(model: Any, size: int) -> Any:
    """MuJoCo's renderer of (size, size) pictures.

    Raises:
        VipOfflineError: if it cannot be made.
    """
    import mujoco

    renderer = mujoco.Renderer.__new__(mujoco.Renderer)
    # what its __del__ looks at, be it that __init__ fails before it sets them
    renderer._gl_context = renderer._mjr_context = None
    with warnings.catch_warnings(record=True) as heard:  # GLFW says there what is wrong
        warnings.simplefilter("always")
        try:
            renderer.__init__(model, size, size)
        except Exception as error:  # mujoco, PyOpenGL and drivers raise what they like
            why = heard[0].message if heard else error
            raise _no_drawing(why) from None
    for warning in heard:
        warnings.warn(warning.message, stacklevel=2)
    return renderer
