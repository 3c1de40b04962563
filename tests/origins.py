"""Small data sets in others' formats, with a known content."""

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zarr
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.media.video import write_video

SIZE = 32  # px
FPS = 10
LENGTHS = (5, 7, 4)


@dataclass(frozen=True)
class Demo:
    """One episode: grey frames whose level says which they are."""

    frames: NDArray[np.uint8]  # (T, SIZE, SIZE, 3)
    state: NDArray[np.float32]  # (T, 3)
    action: NDArray[np.float32]  # (T, 2)
    done: NDArray[np.bool_]  # (T,)


def demos(lengths: Sequence[int] = LENGTHS) -> list[Demo]:
    """As many as there are lengths; no two frames of all of them are alike."""
    generator = np.random.default_rng(0)
    levels = iter(range(10, 256, 240 // (sum(lengths) + 1) or 1))
    made = []
    for length in lengths:
        grey = np.array([next(levels) for _ in range(length)], np.uint8)
        made.append(
            Demo(
                np.ascontiguousarray(
                    np.broadcast_to(grey[:, None, None, None], (length, SIZE, SIZE, 3))
                ),
                generator.normal(size=(length, 3)).astype(np.float32),
                generator.uniform(-1, 1, (length, 2)).astype(np.float32),
                np.arange(length) == length - 1,
            )
        )
    return made


def lerobot(
    path: Path, lengths: Sequence[int] = LENGTHS, version: str = "v3.0", pictures: str = "video"
) -> list[Demo]:
    """A LeRobotDataset as its documentation describes it, without LeRobot.

    Args:
        path: its folder.
        lengths: of the episodes.
        version: v3.0 (all in one file) or v2.1 (a file each).
        pictures: "video" or "image".
    """
    made, v3 = demos(lengths), version == "v3.0"
    camera = "observation.images.front"
    feature: dict[str, Any] = {"dtype": pictures, "shape": [SIZE, SIZE, 3], "names": None}
    info = {
        "codebase_version": version,
        "fps": FPS,
        "robot_type": "so100",
        "total_episodes": len(made),
        "total_frames": sum(lengths),
        "chunks_size": 1000,
        "splits": {"train": f"0:{len(made) - 1}", "valid": f"{len(made) - 1}:{len(made)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        if v3
        else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        if v3
        else "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {
            camera: feature,
            "observation.state": {"dtype": "float32", "shape": [3], "names": ["x", "y", "z"]},
            "action": {"dtype": "float32", "shape": [2], "names": None},
            "next.success": {"dtype": "bool", "shape": [1], "names": None},
            "next.reward": {"dtype": "float32", "shape": [1], "names": None},
            "force": {"dtype": "float64", "shape": [2, 2], "names": None},
            **{
                name: {"dtype": "int64", "shape": [1], "names": None}
                for name in ("frame_index", "episode_index", "index", "task_index")
            },
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        },
    }
    tables, begin = [], 0
    for index, demo in enumerate(made):
        length = len(demo.action)
        columns: dict[str, Any] = {
            "observation.state": list(demo.state),
            "action": list(demo.action),
            "next.success": demo.done,
            "next.reward": demo.done.astype(np.float32),
            "force": force(demo).tolist(),
            "timestamp": (np.arange(length) / FPS).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, index),
            "index": np.arange(begin, begin + length),
            "task_index": np.zeros(length, np.int64),
        }
        if pictures == "image":
            columns[camera] = [{"bytes": png(frame), "path": None} for frame in demo.frames]
        tables.append(pyarrow.table(columns))
        begin += length
    (path / "meta").mkdir(parents=True)
    (path / "meta/info.json").write_text(json.dumps(info))
    if v3:
        _write(path / "data/chunk-000/file-000.parquet", pyarrow.concat_tables(tables))
        ends = np.cumsum(lengths)
        starts = ends - lengths
        rows: dict[str, Any] = {
            "episode_index": np.arange(len(made)),
            "tasks": [["pick é"]] * len(made),
            "length": list(lengths),
            "data/chunk_index": [0] * len(made),
            "data/file_index": [0] * len(made),
            "dataset_from_index": starts,
            "dataset_to_index": ends,
            f"videos/{camera}/chunk_index": [0] * len(made),
            f"videos/{camera}/file_index": [0] * len(made),
            f"videos/{camera}/from_timestamp": starts / FPS,
            f"videos/{camera}/to_timestamp": ends / FPS,
            "stats/action/mean": [[0.0, 0.0]] * len(made),
        }
        _write(path / "meta/episodes/chunk-000/file-000.parquet", pyarrow.table(rows))
        if pictures == "video":
            every = np.concatenate([demo.frames for demo in made])
            write_video(path / f"videos/{camera}/chunk-000/file-000.mp4", every, FPS)
    else:
        lines = [
            json.dumps({"episode_index": index, "tasks": ["pick é"], "length": length})
            for index, length in enumerate(lengths)
        ]
        (path / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
        for index, (table, demo) in enumerate(zip(tables, made, strict=True)):
            _write(path / f"data/chunk-000/episode_{index:06d}.parquet", table)
            if pictures == "video":
                video = path / f"videos/chunk-000/{camera}/episode_{index:06d}.mp4"
                write_video(video, demo.frames, FPS)
    return made


def force(demo: Demo) -> NDArray[np.float64]:
    """(T, 2, 2) something that plays no role."""
    return np.arange(len(demo.action) * 4, dtype=np.float64).reshape(-1, 2, 2) / 3


def _write(path: Path, table: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


def png(frame: NDArray[np.uint8]) -> bytes:
    """A picture as a file's bytes."""
    import io

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def robomimic(
    path: Path, lengths: Sequence[int] = LENGTHS, solved: Sequence[int] = ()
) -> list[Demo]:
    """robomimic's HDF5; the demonstrations of `solved` end with a reward of 1."""
    made = demos(lengths)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(lengths)
        data.attrs["env_args"] = json.dumps(
            {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        )
        for index, demo in enumerate(made):
            group = data.create_group(f"demo_{index}")
            group.attrs["num_samples"] = len(demo.action)
            group["actions"] = demo.action.astype(np.float64)
            group["rewards"] = demo.done * float(index in solved)
            group["dones"] = demo.done.astype(np.int64)
            group["states"] = force(demo).reshape(-1, 4)
            group["obs/robot0_eef_pos"] = demo.state.astype(np.float64)
            group["obs/robot0_eef_quat"] = demo.state[:, :1].astype(np.float64)
            group["obs/robot0_gripper_qpos"] = demo.state[:, 1:2].astype(np.float64)
            group["obs/object"] = demo.state.astype(np.float64)
            group["obs/agentview_image"] = demo.frames
            group["next_obs/object"] = demo.state.astype(np.float64)
        names = [f"demo_{index}".encode() for index in range(len(made))]
        file["mask/train"] = names[:-1]
        file["mask/valid"] = names[-1:]
    return made


def replay(path: Path, lengths: Sequence[int] = LENGTHS, zarr_format: Any = 2) -> list[Demo]:
    """diffusion_policy's replay buffer, its pictures as float32 as in PushT."""
    made = demos(lengths)
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    columns = {
        "img": np.concatenate([demo.frames for demo in made]).astype(np.float32),
        "state": np.concatenate([demo.state for demo in made]),
        "action": np.concatenate([demo.action for demo in made]),
        "n_contacts": np.concatenate([demo.state[:, :1] for demo in made]),
    }
    for name, values in columns.items():
        chunks = (8, *values.shape[1:])
        root.create_array(f"data/{name}", data=values, chunks=chunks)
    root.create_array("meta/episode_ends", data=np.cumsum(lengths).astype(np.int64))
    return made


def folders(path: Path, lengths: Sequence[int] = LENGTHS) -> list[Demo]:
    """A folder per episode: a video, pictures, an npz and a csv."""
    made = demos(lengths)
    for index, demo in enumerate(made):
        folder = path / f"pick é {index}"
        write_video(folder / "front.mp4", demo.frames, FPS)
        (folder / "wrist").mkdir()
        for row, frame in enumerate(demo.frames):
            Image.fromarray(frame).save(folder / "wrist" / f"{row:03d}.png")
        np.savez(folder / "robot.npz", qpos=demo.state, command=demo.action, name=np.array("x"))
        lines = [
            "t,grip,word",
            *(f"{row},{demo.state[row, 0]},a" for row in range(len(demo.state))),
        ]
        (folder / "log.csv").write_text("\n".join(lines) + "\n")
    return made


def minari(path: Path, discrete: bool = False) -> list[Demo]:
    """A data set that Minari itself writes, its last observation repeated."""
    import gymnasium
    from minari import create_dataset_from_buffers
    from minari.data_collector.episode_buffer import EpisodeBuffer

    box = gymnasium.spaces.Box
    made = demos()
    space = gymnasium.spaces.Dict(
        {"image": box(0, 255, (SIZE, SIZE, 3), np.uint8), "state": box(-9, 9, (3,), np.float32)}
    )
    actions = gymnasium.spaces.Discrete(4) if discrete else box(-1, 1, (2,), np.float32)
    buffers = []
    for demo in made:
        length = len(demo.action)
        rows = [*range(length), length - 1]
        buffers.append(
            EpisodeBuffer(
                observations={"image": list(demo.frames[rows]), "state": list(demo.state[rows])},
                actions=[0] * length if discrete else list(demo.action),
                rewards=[0.0] * (length - 1) + [1.0],
                terminations=[*demo.done],
                truncations=[False] * length,
                infos={},
            )
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(path.parent / "minari"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its advice on what else may be said of a data set
            create_dataset_from_buffers(
                "tests/set-v0",
                buffers,
                observation_space=space,
                action_space=actions,
                data_format="hdf5",
            )
    (path.parent / "minari/tests/set-v0").rename(path)
    shutil.rmtree(path.parent / "minari")
    return made
