import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM
from store_files import contents

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import TAIL, RecordOptions
from vip_offline.simulation.experts import BEHAVIOURS, FAILURES, Controls
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.simulation.record import planned_episodes, record, record_episode
from vip_offline.simulation.suites.metaworld import MetaworldSimulator, scripted_expert

pytestmark = pytest.mark.sim
SMALL = RecordOptions(episodes=6, failures=4, image_size=32, max_steps=30)
ARGUMENTS = ["--episodes", "6", "--failures", "4", "--image-size", "32", "--max-steps", "30"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "a.zarr"
    record(path, SMALL, processes=1)
    return path


@pytest.mark.slow
def test_frames_can_be_embedded_in_the_process_that_recorded_them(tmp_path: Path) -> None:
    """Drawing in it as well would end it with a segmentation fault, where Mesa draws."""
    code = (
        "import pathlib, sys\n"
        "from vip_offline.options import RecordOptions\n"
        "from vip_offline.simulation.record import record\n"
        "if __name__ == '__main__':\n"
        "    options = RecordOptions(episodes=1, failures=0, image_size=32)\n"
        "    record(pathlib.Path(sys.argv[1]), options, processes=1)\n"
        "    import torchvision.transforms.v2\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    subprocess.run([sys.executable, script, tmp_path / "a.zarr"], check=True)


def test_kinds_have_equal_shares_fixed_beforehand() -> None:
    kinds = Counter(kind for kind, _ in planned_episodes(RecordOptions()))
    assert kinds == {"expert": 10, **dict.fromkeys(FAILURES, 5)}
    placements = [placement for _, placement in planned_episodes(RecordOptions())]
    assert len(set(placements)) == 30


def test_the_prefix_of_meta_world_may_be_given() -> None:
    prefixed = replace(SMALL, task="metaworld/drawer-close")
    assert planned_episodes(prefixed) == planned_episodes(SMALL)


@pytest.mark.slow
def test_the_store_says_what_happened(recorded: Path) -> None:
    store = open_store(recorded)
    store.require_finished()
    assert store.kinds() == ["expert", "expert", "frozen", "pulled", "noisy", "wandering"]
    assert store.meta("success").tolist() == [True, True, False, False, False, False]
    lengths = [stop - start for start, stop in store.spans()]
    assert lengths[2:] == [30] * 4
    for start, stop in store.spans()[:2]:
        succeeded = store.data("succeeded")[start:stop]
        assert succeeded.sum() == TAIL
        assert succeeded[-TAIL:].all()  # the last frame is a goal image
    assert np.isnan(store.data("true_reward")).sum() == 6
    assert store.data("proprio").shape == (store.rows, 4)


@pytest.mark.slow
def test_stored_actions_lead_to_the_stored_rows(recorded: Path) -> None:
    """Row t is the observation before action t."""
    store = open_store(recorded)
    with MetaworldSimulator("drawer-close", 32) as simulator:
        for index in (0, 4):
            start, stop = store.spans()[index]
            simulator.reset(int(store.meta("placement")[index]))
            frames = store.frames("corner", start, stop)
            for row in range(stop - start):
                observation = simulator.observe()
                np.testing.assert_array_equal(observation.frame, frames[row])
                np.testing.assert_array_equal(
                    observation.proprio, store.data("proprio")[start + row]
                )
                reward, _ = simulator.step(store.data("action")[start + row])
                if row < stop - start - 1:
                    assert store.data("true_reward")[start + row] == np.float32(reward)


@pytest.mark.slow
def test_two_processes_record_the_same(recorded: Path, tmp_path: Path) -> None:
    record(tmp_path / "b.zarr", SMALL, processes=2)
    assert contents(tmp_path / "b.zarr") == contents(recorded)


@pytest.mark.slow
def test_an_episode_cut_short_at_its_first_success_succeeds() -> None:
    def recorded_for(simulator: MetaworldSimulator, steps: int) -> Episode:
        controls = Controls(simulator.action_size, simulator.control_rate)
        generator = np.random.default_rng(0)
        expert = BEHAVIOURS["expert"](scripted_expert("drawer-close"), generator, controls)
        return record_episode(simulator, expert, 1, steps)

    with MetaworldSimulator("drawer-close", 32) as simulator:
        whole = recorded_for(simulator, 200)
        first = int(np.flatnonzero(whole.succeeded)[0])
        cut, too_short = recorded_for(simulator, first + 1), recorded_for(simulator, first)
    assert (len(cut), cut.success, int(cut.succeeded.sum())) == (first + 1, True, 1)
    assert (len(too_short), too_short.success) == (first, False)


def test_other_settings_do_not_mix(recorded: Path) -> None:
    before = contents(recorded)
    with pytest.raises(VipOfflineError, match=r"made with other settings .max_steps 30, now 31"):
        record(recorded, replace(SMALL, max_steps=SMALL.max_steps + 1))
    assert contents(recorded) == before


@pytest.mark.slow
def test_a_nuisance_changes_the_frames_alone(recorded: Path, tmp_path: Path) -> None:
    path = tmp_path / "n.zarr"
    options = replace(SMALL, nuisance=("tint", "camera"), nuisance_level=1)
    record(path, options, processes=2)
    clean, store = open_store(recorded), open_store(path)
    for key in ("proprio", "action", "true_reward", "succeeded"):
        np.testing.assert_array_equal(store.data(key), clean.data(key))
    settings = store.attributes["record"]
    assert (settings["nuisance"], settings["nuisance_level"]) == (["camera", "tint"], 1)
    assert not {"nuisance", "nuisance_level"} & {*clean.attributes["record"]}
    with MetaworldSimulator("drawer-close", 32) as simulator:
        for index, (start, _) in enumerate(store.spans()):
            placement = int(store.meta("placement")[index])
            simulator.nuisance = Nuisances("record", ("camera", "tint"), 1)[placement]
            simulator.reset(placement)
            frame = store.frames("corner", start, start + 1)[0]
            np.testing.assert_array_equal(frame, simulator.frame())
    for changes, said in (
        ({"nuisance": (), "nuisance_level": 1}, r"nuisance \['camera', 'tint'\], now nothing"),
        ({"nuisance": ("tint",)}, r"nuisance \['camera', 'tint'\], now \['tint'\]"),
        ({"nuisance_level": 2}, "nuisance_level 1, now 2"),
        ({"nuisance_level": 0}, "nuisance_level 1, now nothing"),
    ):
        with pytest.raises(VipOfflineError, match=said):
            record(path, replace(options, **changes))
    with pytest.raises(VipOfflineError, match=r"nuisance nothing, now \['camera', 'tint'\]"):
        record(recorded, options)
    record(recorded, replace(SMALL, nuisance=("tint",), nuisance_level=0))  # is none


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"episodes": 0}, "--episodes 0"),
        ({"failures": 7}, "--failures 7: must be at most 6"),
        ({"image_size": 4}, "--image-size 4"),
        ({"max_steps": 501}, "--max-steps 501"),
        ({"task": "drawer"}, "Unknown task 'drawer'"),
        ({"nuisance": ("lightt",)}, "--nuisance lightt: is unknown. Did you mean 'light'"),
        ({"nuisance_level": 3}, "--nuisance-level 3: must be at least 0 and at most 2"),
    ],
)
def test_plans_that_make_no_data_set(tmp_path: Path, changes: dict[str, object], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        record(tmp_path / "x.zarr", replace(SMALL, **changes))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def until_killed_in_the_middle(arguments: list[str], path: Path, begun: str, seed: int) -> None:
    """Kill it at a random moment after `begun` is there."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.DEVNULL, start_new_session=True
    )
    while not (path / begun).exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0, 0.6))
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["zarr.json", "data/frames_corner"])
def test_a_killed_recording_goes_on_as_if_undisturbed(
    recorded: Path, tmp_path: Path, begun: str
) -> None:
    path = tmp_path / "a.zarr"
    arguments = ["record", str(path), *ARGUMENTS]
    until_killed_in_the_middle(arguments, path, begun, len(begun))
    subprocess.run([*PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
    assert contents(path) == contents(recorded)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]


def relabel_arguments(path: Path) -> list[str]:
    return ["relabel", str(path), "--encoder", "random-resnet18", "--batch-size", "4"]


@pytest.fixture(scope="module")
def relabelled(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("relabel") / "a.zarr"
    shutil.copytree(recorded, path)
    subprocess.run([*PROGRAM, *relabel_arguments(path)], check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["embeddings/random-resnet18/corner@content", "labels"])
def test_a_killed_relabelling_goes_on_as_if_undisturbed(
    recorded: Path, relabelled: Path, tmp_path: Path, begun: str
) -> None:
    path = tmp_path / "a.zarr"
    shutil.copytree(recorded, path)
    until_killed_in_the_middle(relabel_arguments(path), path, begun, len(begun))
    subprocess.run([*PROGRAM, *relabel_arguments(path)], check=True, stdout=subprocess.DEVNULL)
    assert contents(path) == contents(relabelled)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zarr"]
