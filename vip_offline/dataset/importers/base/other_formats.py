"""Hints for data sets of tools whose formats are not supported."""

from collections.abc import Iterable, Set
from itertools import islice
from pathlib import Path

from vip_offline.dataset.tables.file_listing import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from vip_offline.dataset.tables.read_table import TABLES

POINTER = b"version https://git-lfs"
MOST_FILES = 200  # files of a folder, in which pointers are looked for
RLDS = (
    " This is RLDS (TensorFlow Datasets), which only TensorFlow reads. Take the LeRobot conversion "
    "of the set, or convert it with LeRobot."
)
ROS = (
    " This is a ROS recording. Convert it to LeRobot, or write per episode a folder with a video "
    "per camera and a table of time stamps, states and actions."
)
PICKLE = " A pickle runs code when it is opened, so none is. Write its arrays to .npz, per episode."
FILES = {
    **dict.fromkeys((".bag", ".mcap", ".db3"), ROS),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth"), PICKLE),
    ".tfrecord": RLDS,
    **dict.fromkeys(
        TABLES,
        " Give the folder it lies in, with videos or pictures beside it or a folder per episode.",
    ),
    ".mat": " Save it as HDF5 with /data/demo_<i>, or as a folder of episodes.",
    **dict.fromkeys((".tar", ".gz", ".tgz", ".zst"), " Unpack it first."),
}
HDF5_ROOTS = (
    (
        {"observations", "action"},
        " This is one episode as ACT and ALOHA write it. Convert the set to LeRobot, or write "
        "each file into one as /data/demo_<i>/actions and /data/demo_<i>/obs/<camera>.",
    ),
    (
        {"observations", "actions", "rewards"},
        " This is D4RL's layout: it has no pictures, so nothing can be relabelled. Its numbers "
        "are in Minari's copies (minari download D4RL/...).",
    ),
    (
        {"observation", "action"},
        " This is the table of one raw episode of DROID, whose pictures lie beside it. Take "
        "the LeRobot conversion of the set.",
    ),
)
HDF5_PREFIXES = {
    "traj_": " This is ManiSkill's layout. Convert it to LeRobot, or write each trajectory as "
    "/data/demo_<i> with actions and obs/<camera>.",
    "episode_": " This is a part of a Minari data set: give the folder with data/metadata.json.",
    "demo_": " Move its demo_<i> into a group data.",
}


def of_another_tool(path: Path) -> str:
    """The tool whose unsupported format a path has, and how to convert it; "" if unknown."""
    if path.is_file():
        return _pointer([path]) or FILES.get(path.suffix.lower(), "")
    if (path / "meta_data" / "info.json").exists():
        return (
            " This is a LeRobotDataset v1. Convert it with LeRobot: first to v2.0, then v2.1 or "
            "v3.0."
        )
    lerobot = next((p for p in path.resolve().parents if (p / "meta" / "info.json").exists()), None)
    if lerobot is not None:
        return f" It lies in a LeRobot data set. Give the folder that holds meta/: {lerobot}"
    below = sorted(entry.parents[1].name for entry in path.glob("*/meta/info.json"))
    if below:
        return (
            f" LeRobot data sets lie in it ({', '.join(below[:4])}). Give one folder that holds "
            "meta/."
        )
    entries = sorted(path.iterdir())
    hdf5 = [entry.name for entry in entries if entry.suffix.lower() in (".hdf5", ".h5")]
    if hdf5 and not any(
        e.is_dir() or e.suffix.lower() in (*VIDEO_SUFFIXES, *PICTURE_SUFFIXES) for e in entries
    ):
        return f" It holds {len(hdf5)} HDF5 files. Give one file: {path / hdf5[0]}"
    pointer = _pointer(islice(path.rglob("*"), MOST_FILES))
    if pointer:
        return pointer
    names = {entry.name for entry in entries}
    inner = {entry.name for entry in path.glob("*/features.json")}
    if {"features.json", "dataset_info.json"} <= names or inner:
        return RLDS
    return ""


def hdf5_of_another_tool(names: Set[str]) -> str:
    """How to convert a file of HDF5 with these names at its root, by the tool that wrote it."""
    for needed, way_out in HDF5_ROOTS:
        if needed <= names:
            return way_out
    for start, way_out in HDF5_PREFIXES.items():
        if any(name.startswith(start) for name in names):
            return way_out
    return ""


def _pointer(paths: Iterable[Path]) -> str:
    """A hint if one of the files is a Git LFS pointer; "" if none is."""
    for path in paths:
        if path.is_file() and path.stat().st_size < len(POINTER) * 8:
            with path.open("rb") as file:
                if file.read(len(POINTER)) == POINTER:
                    return (
                        f" {path.name} is a pointer of Git LFS, not the file itself. Fetch the "
                        "files with: git lfs pull"
                    )
    return ""
