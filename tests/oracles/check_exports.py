"""Exports, opened by the code of those whose formats they are.

What needs only the libraries of our own environment (Minari, h5py, d3rlpy, zarr 3) is in pytest.
This is for code that wants an environment of its own; pytest does not collect it. In an empty
FOLDER, with one environment per owner::

    python3.11 -m venv lerobot && lerobot/bin/pip install torch torchvision pyarrow pandas \\
        && lerobot/bin/pip install --no-deps lerobot==0.4.4 \\
        && lerobot/bin/pip install 'datasets>=4,<5' accelerate 'av<16' 'numpy<2.4'
    python3.12 -m venv newer && newer/bin/pip install 'lerobot[dataset]==0.6.1'
    python3.9 -m venv zarr2 && zarr2/bin/pip install zarr==2.12.0 'numpy==1.23.*' 'numcodecs<0.11'
    git clone https://github.com/real-stanford/diffusion_policy
    git clone https://github.com/ARISE-Initiative/robomimic

    export HF_HUB_OFFLINE=1
    lerobot/bin/python check_exports.py write FOLDER         # data sets by LeRobot itself
    .venv/bin/python check_exports.py export FOLDER          # ours
    lerobot/bin/python check_exports.py lerobot FOLDER       # also with newer/
    newer/bin/python check_exports.py weighting FOLDER       # also with lerobot/
    PYTHONPATH=diffusion_policy zarr2/bin/python check_exports.py replay FOLDER
    PYTHONPATH=robomimic .venv/bin/python check_exports.py robomimic FOLDER  # and its imports:
                                                   # pip install tensorboardX termcolor psutil six

Each step ends with a line that says what was compared, or in an AssertionError.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = (7, 5, 9)
MODES = ("image", "video")
CHUNK = 3  # actions that a policy predicts at once


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def theirs(module: str) -> Any:
    """A module that is not in our own environment, or is another one there."""
    return importlib.import_module(module)


def version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def write(folder: Path) -> None:
    """Two data sets by LeRobot's own recorder: pictures in the table, pictures in a video."""
    create = theirs("lerobot.datasets.lerobot_dataset").LeRobotDataset.create
    for mode in MODES:
        camera: dict[str, Any] = {"dtype": mode, "shape": (48, 64, 3)}
        dataset = create(
            "vip-offline/oracle",
            fps=10,
            root=folder / f"lerobot-{mode}",
            use_videos=mode == "video",
            robot_type="arm",
            features={
                "observation.state": {"dtype": "float32", "shape": (3,), "names": list("abc")},
                "action": {"dtype": "float32", "shape": (2,), "names": list("xy")},
                "observation.images.top": {**camera, "names": ["height", "width", "channels"]},
            },
        )
        generator = np.random.default_rng(0)
        for episode, length in enumerate(LENGTHS):
            for row in range(length):
                dataset.add_frame(
                    {
                        "observation.state": generator.normal(size=3).astype(np.float32),
                        "action": generator.uniform(-1, 1, 2).astype(np.float32),
                        "observation.images.top": np.full((48, 64, 3), 20 * row, np.uint8),
                        "task": f"tâche {episode % 2}",
                    }
                )
            dataset.save_episode()
        dataset.finalize()
    say(f"write: 2 data sets by {version('lerobot')}")


def export(folder: Path) -> None:
    """Import, label and export everything, and note what the others must find."""
    from vip_offline.dataset.exporters.progress_table import progress_of
    from vip_offline.dataset.importers.registry import open_source
    from vip_offline.dataset.importers.run import import_source
    from vip_offline.dataset.store import open_store
    from vip_offline.experiments.export_data import export as give_back
    from vip_offline.options import ImportOptions, RelabelOptions
    from vip_offline.rewards.relabel import relabel

    for mode in MODES:
        path = folder / f"{mode}.zarr"
        origin = open_source(folder / f"lerobot-{mode}")
        import_source(origin, path, ImportOptions())
        origin.close()
        relabel(path, RelabelOptions(encoder="pixels"))
        store = open_store(path)
        label, spans = store.label(), store.spans()
        give_back(path, folder / f"copy-{mode}", "lerobot")
        progress = folder / f"copy-{mode}" / "sarm_progress.parquet"
        give_back(path, progress, "lerobot-progress")
        give_back(path, folder / f"replay-{mode}", "zarr")
        give_back(path, folder / f"robomimic-{mode}.hdf5", "robomimic")
        np.savez(
            folder / f"expected-{mode}.npz",
            reward=label.reward,
            ends=store.ends,
            action=store.data("action"),
            proprio=store.data("proprio"),
            frames=store.frames("top", 0, store.rows),
            progress=np.concatenate([progress_of(label.distance[i:j]) for i, j in spans]),
        )
    say("export: done")


def expected(folder: Path, mode: str) -> Any:
    return np.load(folder / f"expected-{mode}.npz")


def lerobot(folder: Path) -> None:
    """LeRobot opens the copies, finds every reward, and its statistics agree."""
    compute = theirs("lerobot.datasets.compute_stats")
    opened = theirs("lerobot.datasets.lerobot_dataset").LeRobotDataset
    for mode in MODES:
        wanted = expected(folder, mode)
        reward = np.nan_to_num(wanted["reward"])
        before = opened("vip-offline/oracle", root=folder / f"lerobot-{mode}")
        after = opened("vip-offline/oracle", root=folder / f"copy-{mode}")
        assert len(after) == len(before) == sum(LENGTHS)
        assert {*after.features} == {*before.features, "next.reward"}
        rows = after.hf_dataset.with_format(None)
        np.testing.assert_array_equal(np.float32(rows["next.reward"]), reward)
        for name in ("action", "observation.state", "timestamp", "index", "task_index"):
            there = before.hf_dataset.with_format(None)[name]
            np.testing.assert_array_equal(np.array(rows[name]), np.array(there), err_msg=name)
        whole = True
        for row in range(len(after)):
            try:
                first, second = before[row], after[row]
            except (ImportError, AttributeError, RuntimeError, OSError) as error:
                whole = False  # a LeRobot that cannot decode video here cannot do so there either
                say(f"  {mode}: items were not compared, LeRobot decodes no video: {error!r:.90}")
                break
            assert second["next.reward"].item() == reward[row]
            assert second["task"] == first["task"]
            key = "observation.images.top"
            np.testing.assert_array_equal(first[key].numpy(), second[key].numpy())
        parts, start = [], 0
        feature = {"next.reward": after.features["next.reward"]}
        for end in wanted["ends"]:
            column = {"next.reward": reward[start:end]}
            parts.append(compute.compute_episode_stats(column, feature))
            start = end
        computed, copied = (
            compute.aggregate_stats(parts)["next.reward"],
            after.meta.stats["next.reward"],
        )
        assert {*copied} == {*computed}, (copied, computed)
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(copied[name], computed[name], rtol=1e-5, atol=1e-6)
        assert {*after.meta.stats["action"]} == {*before.meta.stats["action"]}
        what = "every item" if whole else "every row of the table"
        say(f"lerobot: {version('lerobot')} reads the copy in {mode} mode: {what}, statistics")


def weighting(folder: Path) -> None:
    """LeRobot's RA-BC weighs by the progress file, as its paper's equations 8 and 9 say."""
    import torch

    for mode in MODES:
        wanted = expected(folder, mode)
        weigh = weighter(folder / f"copy-{mode}")
        rows, ends = np.arange(sum(LENGTHS)), wanted["ends"]
        last = ends[np.searchsorted(ends, rows, side="right")] - 1
        progress = wanted["progress"].astype(np.float64)
        delta = progress[np.minimum(rows + CHUNK, last)] - progress
        assert weigh.get_stats()["num_frames"] == len(rows)
        mean, deviation = max(delta.mean(), 0.0), delta.std()
        np.testing.assert_allclose(weigh.get_stats()["delta_mean"], mean, rtol=1e-6)
        soft = np.clip((delta - mean + 2 * deviation) / (4 * deviation + 1e-6), 0, 1)
        weights = np.where(delta > 0.01, 1, np.where(delta < 0, 0, soft))
        found, told = weigh.compute_batch_weights({"index": torch.arange(len(rows))})
        np.testing.assert_allclose(
            found.numpy(), weights * len(rows) / weights.sum(), rtol=1e-4, atol=1e-6
        )
        zero, full = told["num_zero_weight"], told["num_full_weight"]
        say(f"weighting: {version('lerobot')}, {mode}: weight 0 for {zero} frames, 1 for {full}")


def weighter(dataset: Path) -> Any:
    """As lerobot-train makes one, which finds the file in the data set's folder by itself."""
    from types import SimpleNamespace

    import torch

    try:
        module = theirs("lerobot.utils.sample_weighting")
    except ImportError:  # before 0.6
        path = dataset / "sarm_progress.parquet"
        weights = theirs("lerobot.utils.rabc").RABCWeights
        return weights(path, chunk_size=CHUNK, device=torch.device("cpu"))
    return module.make_sample_weighter(
        module.SampleWeightingConfig(type="rabc"),
        SimpleNamespace(config=SimpleNamespace(chunk_size=CHUNK)),
        torch.device("cpu"),
        dataset_root=str(dataset),
    )


def replay(folder: Path) -> None:
    """zarr 2 opens the replay buffer, and diffusion_policy's own class reads and extends it."""
    zarr = theirs("zarr")
    assert zarr.__version__.startswith("2."), zarr.__version__
    for mode in MODES:
        wanted = expected(folder, mode)
        group = zarr.open(str(folder / f"replay-{mode}"), "r")
        check_replay(group["data"], group["meta"]["episode_ends"], wanted)
        try:
            buffers = theirs("diffusion_policy.common.replay_buffer").ReplayBuffer
        except ImportError:
            say("  diffusion_policy is not on PYTHONPATH: its own class was not tried")
        else:
            path = str(folder / f"replay-{mode}")
            for buffer in (
                buffers.create_from_path(path),
                buffers.copy_from_path(path),
                buffers.copy_from_path(path, store=zarr.MemoryStore()),
            ):
                check_replay(buffer.data, buffer.episode_ends, wanted)
                assert list(buffer.episode_lengths) == list(LENGTHS)
            episode = buffer.get_episode(1, copy=True)
            np.testing.assert_array_equal(episode["action"], wanted["action"][7:12])
            buffer.add_episode(episode)
            assert buffer.n_episodes == len(LENGTHS) + 1
            say(f"replay: diffusion_policy's ReplayBuffer reads {mode} three ways and extends it")
        say(f"replay: {version('zarr')} reads {mode}: {', '.join(group['data'])}")


def check_replay(data: Any, ends: Any, wanted: Any) -> None:
    np.testing.assert_array_equal(ends[:], wanted["ends"])
    assert ends.dtype == np.int64
    names = {"action": "action", "proprio": "proprio", "reward": "reward", "frames": "frames_top"}
    for name, key in names.items():
        np.testing.assert_array_equal(data[key][:], wanted[name], err_msg=name)


def robomimic(folder: Path) -> None:
    """robomimic's own SequenceDataset reads the file."""
    observations = theirs("robomimic.utils.obs_utils")
    sequences, release = theirs("robomimic.utils.dataset"), theirs("robomimic").__version__
    for mode in MODES:
        wanted, path = expected(folder, mode), str(folder / f"robomimic-{mode}.hdf5")
        keys = {"low_dim": ["proprio"], "rgb": ["top_image"]}
        observations.initialize_obs_utils_with_obs_specs({"obs": keys})
        dataset = sequences.SequenceDataset(
            path,
            obs_keys=("proprio", "top_image"),
            action_keys=("actions",),
            dataset_keys=("actions", "rewards", "dones"),
            action_config={"actions": {"normalization": None}},
            load_next_obs=False,
            filter_by_attribute="train",
        )
        assert len(dataset) == sum(LENGTHS)
        for row in range(len(dataset)):
            item = dataset[row]
            assert item["rewards"][0] == np.nan_to_num(wanted["reward"][row])
            np.testing.assert_array_equal(item["actions"][0], wanted["action"][row])
            np.testing.assert_array_equal(item["obs"]["proprio"][0], wanted["proprio"][row])
            np.testing.assert_array_equal(item["obs"]["top_image"][0], wanted["frames"][row])
        command = [sys.executable, "-m", "robomimic.scripts.get_dataset_info", "--dataset", path]
        info = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"total transitions: {sum(LENGTHS)}" in info
        assert f"filter key train with {len(LENGTHS)} demos" in info
        say(f"robomimic: {release}, {mode}: its dataset class and get_dataset_info")


STEPS = {each.__name__: each for each in (write, export, lerobot, weighting, replay, robomimic)}

if __name__ == "__main__":
    STEPS[sys.argv[1]](Path(sys.argv[2]))
