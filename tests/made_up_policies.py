"""Policies that were really trained, on a few frames, and made ready for another computer."""

import shutil
from pathlib import Path

import numpy as np

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.export import ship
from vip_offline.options import Fit, RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.run import train

SIZE = (40, 56)  # px: has to be resized and cropped


def noisy_episode(
    cameras: tuple[str, ...], length: int, success: bool, placement: int, reach: float
) -> Episode:
    generator = np.random.default_rng(placement)

    def frames() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        coarse = generator.integers(0, 256, (length, 5, 7, 3), dtype=np.uint8)
        coarse[..., 0] //= 2  # less red than blue
        return coarse.repeat(8, axis=1).repeat(8, axis=2)

    return Episode(
        frames={camera: frames() for camera in cameras},
        proprio=generator.normal(size=(length, 4)).astype(np.float32),
        action=generator.uniform(-reach, reach, (length, 2)).astype(np.float32),
        succeeded=np.arange(length) >= (length - 1 if success else length),
        true_reward=np.append(np.ones(length - 1), np.nan).astype(np.float32),
        success=success,
        kind="expert" if success else "frozen",
        placement=placement,
    )


def trained_policy(
    folder: Path,
    encoder: str = "vip-mini",
    cameras: tuple[str, ...] = ("front",),
    reach: float = 3.0,
    algo: str = "rwr",
    fit: Fit = "crop",
) -> Path:
    """A store and a policy trained on it in this folder; not made ready yet."""
    store, out = folder / "demos.zarr", folder / "policy"
    said = {"task": "drawer-close", "control_rate": 20.0, "proprio": ["x [m]", "y [m]", "z", "g"]}
    with writing(store, create=said) as opened:
        for index in range(3):
            opened.append(noisy_episode(cameras, 6, index != 1, index, reach))
    if algo != "scratch-bc":
        relabel(store, RelabelOptions(encoder=encoder, camera=",".join(cameras), fit=fit))
    train(store, TrainOptions(algo=algo, steps=20, hidden=(16,), fit=fit), out)
    return out


def shipped_policy(folder: Path, encoder: str = "vip-mini") -> Path:
    out = trained_policy(folder, encoder)
    ship(out)
    return out


def copied(folder: Path, to: Path) -> Path:
    """Only what is on the list of files, as a user copies it to the robot."""
    to.mkdir(parents=True)
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        shutil.copy2(folder / line.split("  ", 1)[1], to)
    shutil.copy2(folder / "SHA256SUMS", to)
    return to
