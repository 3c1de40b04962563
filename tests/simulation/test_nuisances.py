"""In a real simulator: what a nuisance changes, and that it changes nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.options import NUISANCES, RecordOptions
from vip_offline.simulation.nuisances import CLEAN, TINTS, Nuisance, Nuisances, draw_nuisance
from vip_offline.simulation.rendering import View
from vip_offline.simulation.simulators import SIMULATORS, make_simulator, tasks
from vip_offline.simulation.suites.metaworld import CORNER, MetaworldSimulator

SEED = (0, 3)


@pytest.fixture(scope="module")
def simulator() -> Iterator[MetaworldSimulator]:
    with MetaworldSimulator("drawer-close", 96) as simulator:
        yield simulator


def frame(simulator: MetaworldSimulator, nuisance: Nuisance | None) -> NDArray[np.uint8]:
    """Of placement 3, in the one renderer that all of these share."""
    simulator.nuisance = nuisance
    simulator.reset(3)
    return simulator.frame()


def change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Share of the pixels that look different."""
    return float((np.abs(after.astype(int) - before).max(axis=-1) > 8).mean())


@pytest.mark.sim
@pytest.mark.parametrize("kind", NUISANCES)
def test_each_kind_changes_the_picture_and_only_that_one(
    simulator: MetaworldSimulator, kind: str
) -> None:
    clean = frame(simulator, None)
    shown = frame(simulator, draw_nuisance((kind,), 1, SEED))
    assert change(clean, shown) > {"distractor": 0.001}.get(kind, 0.05)
    np.testing.assert_array_equal(frame(simulator, draw_nuisance((kind,), 1, SEED)), shown)
    assert change(shown, frame(simulator, draw_nuisance((kind,), 1, (0, 4)))) > 0.001
    # the renderer is shared: nothing of it stays
    np.testing.assert_array_equal(frame(simulator, None), clean)


@pytest.mark.sim
@pytest.mark.parametrize("name", SIMULATORS)
def test_every_simulator_draws_them(name: str) -> None:
    with make_simulator(tasks(name)[0], 64) as simulator:
        assert simulator.nuisance is None
        simulator.reset(0)
        clean = simulator.frame()
        for kind in NUISANCES:
            simulator.nuisance = draw_nuisance((kind,), 2, SEED)
            assert not np.array_equal(simulator.frame(), clean), kind
        simulator.nuisance = None
        np.testing.assert_array_equal(simulator.frame(), clean)


@pytest.mark.sim
def test_at_level_0_the_picture_is_the_clean_one(simulator: MetaworldSimulator) -> None:
    clean = frame(simulator, None)
    np.testing.assert_array_equal(frame(simulator, draw_nuisance(NUISANCES, 0, SEED)), clean)
    np.testing.assert_array_equal(frame(simulator, Nuisance()), clean)


@pytest.mark.sim
def test_physics_and_proprioception_do_not_know_of_it() -> None:
    action = np.array([0.3, -0.8, 0.1, 1], np.float32)
    with MetaworldSimulator("drawer-close", 32) as simulator:
        runs = []
        for nuisance in (None, draw_nuisance(NUISANCES, 2, SEED)):
            simulator.nuisance = nuisance
            simulator.reset(3)
            rows = []
            for _ in range(10):
                reward, solved = simulator.step(action)
                observation = simulator.observe()
                rows.append([*simulator.save(), *observation.proprio, reward, solved])
            runs.append(np.array(rows))
    np.testing.assert_array_equal(runs[0], runs[1])


@pytest.mark.sim
def test_what_moves_keeps_its_colour(simulator: MetaworldSimulator) -> None:
    """Tinted black, all but the arm and the drawer is gone."""
    tint = np.zeros((TINTS, 3))
    clean, black = frame(simulator, None), frame(simulator, Nuisance(tint=tint))
    dark = black.max(axis=-1) < 5
    assert 0.3 < dark.mean() < 0.95
    same = ~dark & (np.abs(black.astype(int) - clean).max(axis=-1) < 3)
    assert same.mean() > 0.05


def test_a_kind_is_the_same_whatever_others_there_are() -> None:
    alone = draw_nuisance(("camera",), 1, SEED)
    both = draw_nuisance(("light", "camera"), 1, SEED)
    twice = draw_nuisance(("camera",), 2, SEED)
    assert alone.light is None and both.light is not None
    assert alone.camera == both.camera
    assert alone.camera is not None and twice.camera is not None
    assert twice.camera.azimuth == pytest.approx(2 * alone.camera.azimuth)
    assert twice.camera.zoom - 1 == pytest.approx(2 * (alone.camera.zoom - 1))


def test_how_far_the_camera_goes() -> None:
    drawn = [draw_nuisance(("camera",), 1, (0, seed)).seen(CORNER) for seed in range(300)]
    for name, width in (("azimuth", 4.0), ("elevation", 3.0), ("distance", 0.06 * 1.1)):
        offsets = [getattr(view, name) - getattr(CORNER, name) for view in drawn]
        assert 0.9 * width < max(np.abs(offsets)) <= width
        assert abs(np.mean(offsets)) < 0.1 * width
    aims = np.array([view.lookat for view in drawn]) - CORNER.lookat
    assert 0.018 < np.abs(aims).max() <= 0.02  # m


@pytest.mark.sim
def test_distractors_lie_in_the_scene() -> None:
    """Meta-World's table; of a view that does not say where it is, about what it looks at."""
    import mujoco

    kitchen = View(azimuth=70, elevation=-35, distance=2.2, lookat=(-0.2, 0.5, 2.0))
    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    for view, low, high in (
        (CORNER, (-0.45, 0.45, 0.0), (0.45, 0.95, 0.25)),
        (kitchen, (-1.08, -0.38, 1.67), (0.68, 1.38, 2.33)),
    ):
        scene = mujoco.MjvScene(model, 100)
        for seed in range(20):
            draw_nuisance(("distractor",), 2, (0, seed)).paint(scene, model, view)
        assert scene.ngeom == 80
        places = np.array([geom.pos for geom in scene.geoms[:80]])
        assert (places >= np.array(low) - 1e-6).all() and (places <= np.array(high) + 1e-6).all()
        assert np.ptp(places, axis=0) == pytest.approx(np.subtract(high, low), rel=0.1)
        radii = np.array([geom.size[0] for geom in scene.geoms[:80]]) / view.distance
        assert 0.0139 < radii.min() < radii.max() < 0.0361


def test_a_stage_has_a_stream_of_its_own() -> None:
    """No evaluation meets a nuisance that was trained on, be it on the same placement."""
    options = RecordOptions(nuisance=("camera", "light"), nuisance_level=2)
    record = Nuisances.of(options, "record")
    assert record == Nuisances("record", ("light", "camera"), 2)
    evaluate = Nuisances.of(options, "evaluate")
    cameras = {
        nuisance.camera
        for nuisances in (record, evaluate)
        for placement in range(50)
        if (nuisance := nuisances[placement])
    }
    assert len(cameras) == 100
    again, other = record[7], record[7]
    assert again is not None and other is not None and again.camera == other.camera


def test_none_is_none_however_it_is_said() -> None:
    for options in (
        RecordOptions(),
        RecordOptions(nuisance=("light",), nuisance_level=0),
        RecordOptions(nuisance=()),
    ):
        nuisances = Nuisances.of(options, "evaluate")
        assert nuisances == CLEAN
        assert nuisances[5] is None
        assert nuisances.settings() == {}
