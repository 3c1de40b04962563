"""Nuisances: what differs from one episode's pictures to the next's, and is no matter of the task.

They are put into MuJoCo's scene between its making and its drawing. So they cost next to nothing,
no model is compiled again, and physics and proprioception never know of them.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.options import NUISANCES, HasNuisance
from vip_offline.simulation.rendering import View

# who draws: none of them ever draws another's nuisance, be it for the same placement
Stream = Literal["record", "evaluate", "plan"]
STREAMS: dict[Stream, int] = {"record": 0, "evaluate": 1, "plan": 2}

# widths at level 1; lengths are shares of the camera's distance, so that they suit any simulator
TURN, TILT = 4.0, 3.0  # degrees, of azimuth and elevation
ZOOM = 0.06  # of the distance
PAN = 0.018  # of what is looked at, along each axis
GAIN, COLOUR_GAIN = 0.35, 0.12  # of the natural logarithm of the lights' strength, and per channel
LIGHT_SHIFT = 0.9  # of the lights, along each axis
LIGHT_TURN = (0.3, 0.3, 0.1)  # what a light's direction changes by where it is shifted by 1
TINT = 0.35  # of the natural logarithm of each channel
TINTS = 64  # bodies' surfaces take them in turn
SPHERES = 2
RADIUS = (0.014, 0.036)

Vector = NDArray[np.float64]  # (3,)


@dataclass(frozen=True, eq=False)
class Light:
    """Of all lights alike."""

    gain: Vector  # factor per RGB channel
    shift: Vector  # in `LIGHT_SHIFT` of the camera's distance; turns directional lights, too


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, against the view."""

    azimuth: float  # degrees
    elevation: float  # degrees
    zoom: float  # factor of the distance
    pan: tuple[float, float, float]  # of what is looked at, in camera distances

    def moved(self, view: View) -> View:
        """The view that it has."""
        x, y, z = (
            value + view.distance * share
            for value, share in zip(view.lookat, self.pan, strict=True)
        )
        return replace(
            view,
            azimuth=view.azimuth + self.azimuth,
            elevation=view.elevation + self.elevation,
            distance=view.distance * self.zoom,
            lookat=(x, y, z),
        )


@dataclass(frozen=True, eq=False)
class Sphere:
    """A ball that does not matter."""

    place: Vector  # in the view's workspace, from 0 to 1 along each of its edges
    radius: float  # in camera distances
    colour: Vector  # RGB from 0 to 1


@dataclass(frozen=True, eq=False)
class Nuisance:
    """What of one episode's pictures differs from the clean ones; None: nothing."""

    light: Light | None = None
    camera: Camera | None = None
    tint: NDArray[np.float64] | None = None  # (TINTS, 3) factors of RGB, of what stands still
    spheres: tuple[Sphere, ...] = ()

    def seen(self, view: View) -> View:
        """The view of the camera where it stands now."""
        return view if self.camera is None else self.camera.moved(view)

    def paint(self, scene: Any, model: Any, view: View) -> None:
        """Change a scene that was just made of a state, before it is drawn.

        Args:
            scene: MuJoCo's `MjvScene`.
            model: MuJoCo's `MjModel` that it was made of.
            view: of the camera where nothing moved it.
        """
        if self.light is not None:
            _light(scene, self.light, view.distance)
        if self.tint is not None:
            _tint(scene, model, self.tint)
        for sphere in self.spheres:
            _add(scene, sphere, view)


def _light(scene: Any, change: Light, distance: float) -> None:
    for light in scene.lights[: scene.nlight]:
        light.diffuse[:] = np.clip(light.diffuse * change.gain, 0, 1.5)
        light.ambient[:] = np.clip(light.ambient * change.gain, 0, 1)
        light.pos[:] += change.shift * LIGHT_SHIFT * distance
        direction = light.dir + change.shift * LIGHT_TURN
        light.dir[:] = direction / np.linalg.norm(direction)


def _tint(scene: Any, model: Any, tint: NDArray[np.float64]) -> None:
    import mujoco

    stands_still = model.body_weldid[model.geom_bodyid] == 0
    for geom in scene.geoms[: scene.ngeom]:
        if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and stands_still[geom.objid]:
            geom.rgba[:3] = np.clip(geom.rgba[:3] * tint[geom.objid % TINTS], 0, 1)


def _add(scene: Any, sphere: Sphere, view: View) -> None:
    import mujoco

    low, high = np.array(view.corners)
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_SPHERE,
        np.full(3, sphere.radius * view.distance),
        low + (high - low) * sphere.place,
        np.eye(3).ravel(),
        np.array([*sphere.colour, 1], np.float32),
    )
    scene.ngeom += 1


def draw_nuisance(kinds: tuple[str, ...], level: float, seed: tuple[int, ...]) -> Nuisance:
    """The nuisance of one episode.

    A kind is the same whatever other kinds there are, and at level 2 it goes the same way as at
    level 1, twice as far.

    Args:
        kinds: of `NUISANCES`.
        level: 0 (the clean picture) and up.
        seed: of the episode.
    """
    generators = {
        kind: np.random.default_rng([*seed, NUISANCES.index(kind)]) for kind in kinds if level
    }
    light = camera = tint = None
    spheres: list[Sphere] = []
    if generator := generators.get("light"):
        gain = generator.uniform(-GAIN, GAIN) + generator.uniform(-COLOUR_GAIN, COLOUR_GAIN, 3)
        light = Light(np.exp(level * gain), level * generator.uniform(-1, 1, 3))
    if generator := generators.get("camera"):
        azimuth, elevation, zoom, *pan = level * generator.uniform(-1, 1, 6)
        x, y, z = (PAN * share for share in pan)
        camera = Camera(TURN * azimuth, TILT * elevation, 1 + ZOOM * zoom, (x, y, z))
    if generator := generators.get("tint"):
        tint = np.exp(level * generator.uniform(-TINT, TINT, (TINTS, 3)))
    if generator := generators.get("distractor"):
        spheres = [
            Sphere(generator.uniform(size=3), generator.uniform(*RADIUS), generator.uniform(size=3))
            for _ in range(round(SPHERES * level))
        ]
    return Nuisance(light, camera, tint, tuple(spheres))


@dataclass(frozen=True)
class Nuisances:
    """The nuisances of all episodes of a stage."""

    stream: Stream
    kinds: tuple[str, ...] = ()  # in the order of `NUISANCES`; () where the level is 0
    level: int = 0

    @classmethod
    def of(cls, options: HasNuisance, stream: Stream) -> Self:
        """Those that options ask for."""
        level = options.nuisance_level
        kinds = tuple(kind for kind in NUISANCES if level and kind in options.nuisance)
        return cls(stream, kinds, level if kinds else 0)

    def __getitem__(self, placement: int) -> Nuisance | None:
        """The nuisance of the episode on this placement; None: its pictures are clean."""
        if not self.kinds:
            return None
        return draw_nuisance(self.kinds, self.level, (STREAMS[self.stream], placement))

    def settings(self) -> dict[str, Any]:
        """What provenance says of them: nothing where there are none, as before there were any."""
        return {"nuisance": list(self.kinds), "nuisance_level": self.level} if self.kinds else {}


CLEAN = Nuisances("evaluate")
