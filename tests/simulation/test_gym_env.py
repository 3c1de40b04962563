from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.gym_env import Metaworld
from vip_offline.simulation.suites.metaworld import (
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
    MetaworldSimulator,
    expert_action,
    scripted_expert,
    tasks,
)

pytestmark = pytest.mark.sim


@pytest.fixture
def environment() -> Iterator[Metaworld]:
    with Metaworld("drawer-close", 64, horizon=5, render_mode="rgb_array") as environment:
        yield environment


def test_gymnasium_finds_no_fault(environment: Metaworld) -> None:
    check_env(environment, skip_render_check=True)  # warnings are errors; rendering needs a spec
    environment.close()
    environment.close()


@pytest.mark.slow
def test_gymnasium_makes_it_and_finds_no_fault() -> None:
    """By an entry point, as a user registers it; then the other render modes are tried as well."""
    spec = gym.envs.registration.EnvSpec(
        "Drawer-v0",
        "vip_offline.simulation.gym_env:Metaworld",
        kwargs={"task": "drawer-close", "image_size": 64},
    )
    with gym.make(spec, render_mode="rgb_array") as made:
        check_env(made.unwrapped)


def test_a_seed_is_a_placement(environment: Metaworld) -> None:
    with MetaworldSimulator("drawer-close", 64) as simulator:
        simulator.reset(11)
        first = simulator.observe()
        action = np.array([0.5, -1, 0.2, 1], np.float32)
        reward, _ = simulator.step(action)
        second = simulator.observe()
    observed, info = environment.reset(seed=11)
    np.testing.assert_array_equal(observed["frame/corner"], first.frame)
    np.testing.assert_array_equal(observed["proprio"], first.proprio)
    assert info == {"placement": 11, "success": False}
    observed, given, terminated, truncated, info = environment.step(action)
    np.testing.assert_array_equal(observed["frame/corner"], second.frame)
    np.testing.assert_array_equal(observed["proprio"], second.proprio)
    assert (given, terminated, truncated, info) == (reward, False, False, {"success": False})


def test_without_a_seed_the_next_placements_are_drawn(environment: Metaworld) -> None:
    def drawn() -> list[int]:
        environment.reset(seed=3)
        return [environment.reset()[1]["placement"] for _ in range(3)]

    first = drawn()
    assert len({3, *first}) == 4
    assert drawn() == first
    placement = first[-1]
    frame, _ = environment.reset()
    again, _ = environment.reset(seed=placement)
    environment.reset(seed=3)
    for _ in range(3):
        observed, _ = environment.reset()
    np.testing.assert_array_equal(observed["frame/corner"], again["frame/corner"])
    assert not np.array_equal(frame["frame/corner"], again["frame/corner"])


def test_the_horizon_truncates(environment: Metaworld) -> None:
    action = np.zeros(4, np.float32)
    with pytest.raises(VipOfflineError, match=r"call reset\(\) first"):
        environment.step(action)
    for _ in range(2):
        environment.reset(seed=0)
        assert [environment.step(action)[3] for _ in range(5)] == [False] * 4 + [True]
        with pytest.raises(VipOfflineError, match="ended after 5 steps"):
            environment.step(action)


def test_an_expert_succeeds() -> None:
    expert = scripted_expert("drawer-close")
    successes = []
    with Metaworld("drawer-close", 32) as environment:
        environment.reset(seed=0)
        for _ in range(120):
            action = expert_action(expert, environment._simulator.state).clip(-1, 1)
            observed, _, terminated, _, info = environment.step(action.astype(np.float32))
            assert observed in environment.observation_space
            assert not terminated
            successes.append(info["success"])
    assert True in successes
    assert not successes[0]


def test_a_picture_is_rendered_and_is_nobodys(environment: Metaworld) -> None:
    assert environment.render() is None
    observed, _ = environment.reset(seed=0)
    before = observed["frame/corner"].copy()
    observed["frame/corner"][:] = 0
    shown = environment.render()
    assert shown is not None
    np.testing.assert_array_equal(shown, before)
    shown[:] = 0
    np.testing.assert_array_equal(environment.render(), before)
    with Metaworld("drawer-close", 64) as silent:
        silent.reset(seed=0)
        assert silent.render() is None


def test_bounds_are_meta_worlds_own() -> None:
    for task in tasks()[::10]:
        with MetaworldSimulator(task, 32) as simulator:
            space = simulator._env.sawyer_observation_space
            np.testing.assert_array_equal(space.low[:4], WORKSPACE_LOW)
            np.testing.assert_array_equal(space.high[:4], WORKSPACE_HIGH)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "drawer-clos"}, "Did you mean 'drawer-close'"),
        ({"image_size": 0}, "image_size=0: must be at least 1"),
        ({"horizon": 501}, "horizon=501: must lie between 1 and 500"),
        ({"horizon": 0}, "horizon=0"),
        ({"render_mode": "human"}, "render_mode='human': only 'rgb_array'"),
    ],
)
def test_what_cannot_be_had_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        Metaworld(**{"task": "drawer-close", **settings})  # type: ignore[arg-type]
