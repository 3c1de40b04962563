"""What made ``written_by/0.1.0.tar.xz`` and ``written_by/0.1.0.json``, kept as a record.

It ran with release 0.1.0 and its formats, and the test of old files opens what it wrote: do not
run it again for that release. For a new one, once a format has changed::

    python tests/make_old_files.py /tmp/vip-offline-0.2.0

It writes into that folder, of which the linked store keeps the name, then the archive and the
numbers beside it, called after the release. Paths within are relative to the folder.
"""

import hashlib
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoder
from imported import imported
from numpy.typing import NDArray
from origins import lerobot

from vip_offline import __version__
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.export import note_success, ship
from vip_offline.encoders.encoder import load_encoder
from vip_offline.options import (
    Computing,
    PretrainOptions,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.policies.policy import Policy
from vip_offline.policies.runtime import load_policy
from vip_offline.pretraining.run import pretrain_stage
from vip_offline.pretraining.trainer import LOSSES
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.rollout import rollout
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.training.run import train
from vip_offline.utils.console import bar

ALGOS = ("rwr", "bc", "awr", "iql", "scratch-bc")
# steps of a training that stops after its first chunk (see `training.job`), and goes on
STEPS = {"rwr": 1500, "iql": 150}
PRETRAINED, LONGER = 4, 6  # steps there, and to go on to
STORE, LINKED, MODEL = Path("demos.zarr"), Path("linked.zarr"), Path("encoder/model.pt")
SIDE = 32  # px


def episode(length: int, success: bool, placement: int) -> Episode:
    """Coarse noise that fades to one grey where it succeeds."""
    generator = np.random.default_rng(placement)
    coarse = generator.integers(0, 256, (length, 4, 4, 3))
    if success:
        share = np.linspace(0, 1, length)[:, None, None, None]
        coarse = (coarse * (1 - share) + 100 * share).astype(int)
    frames = coarse.astype(np.uint8).repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    return Episode(
        frames={"corner": frames},
        proprio=generator.normal(size=(length, 4)).astype(np.float32),
        action=generator.uniform(-1, 1, (length, 4)).astype(np.float32),
        succeeded=np.arange(length) >= (length - 1 if success else length),
        true_reward=np.append(np.ones(length - 1), np.nan).astype(np.float32),
        success=success,
        kind="expert" if success else "frozen",
        placement=placement,
    )


def pretraining() -> PretrainOptions:
    return PretrainOptions(
        backbone=tiny_encoder.NAME,
        batch_size=4,
        steps=PRETRAINED,
        save_every=2,
        validate_every=100,
        keep=2,
        readers=1,
        hold_out=0.25,
        pack="always",
    )


def training(algo: str, label: str = "pixels", steps: int = 20) -> TrainOptions:
    return TrainOptions(algo=algo, label=label, steps=steps, hidden=(8,), batch_size=8)


def stopped(algo: str) -> TrainOptions:
    return training(algo, "tiny-shaping", STEPS[algo])


def stop(algo: str, out: Path) -> None:
    """Train, and be interrupted after the first chunk of steps."""

    def interrupt(steps: int) -> None:
        if steps:
            raise KeyboardInterrupt

    try:
        train(STORE, stopped(algo), out, on_steps=interrupt)
    except KeyboardInterrupt:
        return
    raise AssertionError(f"{algo} was not stopped")


def write() -> None:
    with writing(STORE, create={"task": "drawer-close", "control_rate": 20.0}) as store:
        for place, (length, success) in enumerate(((5, True), (7, False), (6, True), (5, True))):
            store.append(episode(length, success, place))
    pretrain_stage([STORE], pretraining(), Path("encoder"), quiet, lambda line: None)
    relabel(STORE, RelabelOptions(encoder="pixels"))
    relabel(
        STORE,
        RelabelOptions(
            encoder=tiny_encoder.NAME,
            weights=str(MODEL),
            name="tiny-shaping",
            goal=("0:4",),
            reward="shaping",
        ),
    )
    lerobot(Path("videos"))
    imported(Path("videos"), LINKED)
    relabel(LINKED, RelabelOptions(encoder="pixels"))
    for algo in ALGOS:
        train(STORE, training(algo), Path("policies") / algo)
    rollout([Path("policies/bc")], RolloutOptions(placements=2, horizon=3, videos=1))
    train(STORE, training("rwr", "tiny-shaping"), Path("shipped"))
    rollout([Path("shipped")], RolloutOptions(2, horizon=3, videos=0), weights=str(MODEL))
    ship(Path("shipped"), weights=MODEL)
    note_success(Path("shipped"), print)
    for algo in STEPS:
        stop(algo, Path("unfinished") / algo)
    for pickle in Path("policies").rglob("model.d3"):  # large; that of `shipped` stays
        pickle.unlink()


def numbers() -> dict[str, Any]:
    """What the files mean to the code that wrote them."""
    demos, linked = open_store(STORE), open_store(LINKED)
    observation: dict[str, NDArray[Any]] = {
        "frame/corner": demos.frames("corner", 0, 3),
        "proprio": demos.data("proprio", 0, 3).astype(np.float32),
    }
    for algo in STEPS:
        train(STORE, stopped(algo), Path("finished") / algo)
    encoder = load_encoder(tiny_encoder.NAME, MODEL, computing=Computing("torch"))
    embedding = encoder(observation["frame/corner"])
    proprio = observation["proprio"]
    longer = Path("encoder-longer")
    goes_on = PretrainOptions(**{**vars(pretraining()), "steps": LONGER})
    pretrain_stage([STORE], goes_on, longer, quiet, lambda line: None)
    losses = [json.loads(line)["loss"] for line in (longer / LOSSES).read_text().splitlines()]
    return {
        "rewards": {name: listed(demos.label(name).reward) for name in demos.label_names},
        "distances": {name: listed(demos.label(name).distance) for name in demos.label_names},
        "frames": sha256(demos.frames("corner", 0, demos.rows)),
        "linked": {
            "levels": listed(levels(linked)),
            "rewards": listed(linked.label().reward),
        },
        "actions": {
            algo: listed(load_policy(Path("policies") / algo).act(observation)) for algo in ALGOS
        },
        "shipped": listed(load_policy(Path("shipped")).act(observation)),
        "finished": {
            algo: listed(Policy.load(Path("finished") / algo).act(embedding, proprio))
            for algo in STEPS
        },
        "embedding": listed(embedding),
        "losses": losses,
    }


def sha256(frames: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(frames).tobytes()).hexdigest()


def levels(store: Store) -> NDArray[np.float64]:
    """(N,) mean grey of each frame: a video's pixels may be rounded otherwise elsewhere."""
    frames = store.frames("front", 0, store.rows)
    means: NDArray[np.float64] = frames.mean(axis=(1, 2, 3), dtype=np.float64)
    return means


def listed(values: NDArray[Any]) -> Any:
    """As JSON takes it; NaN is None."""
    return json.loads(json.dumps(values.astype(float).round(6).tolist()).replace("NaN", "null"))


def quiet(description: str, total: int, unit: str) -> Any:
    from rich.console import Console

    return bar(Console(quiet=True), description, total, unit)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    return member.replace(uid=0, gid=0, uname="", gname="", deep=False)


def main(folder: Path) -> None:
    here = Path(__file__).parent.absolute() / "written_by"
    folder.mkdir(parents=True)
    os.chdir(folder)
    quiet_d3rlpy()
    with pytest.MonkeyPatch.context() as patch:
        tiny_encoder.register(patch)
        write()
        with tarfile.open(here / f"{__version__}.tar.xz", "w:xz") as archive:
            for path in sorted(Path().iterdir()):
                archive.add(path, filter=_anonymous)
        text = json.dumps(numbers(), indent=1)
    (here / f"{__version__}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
