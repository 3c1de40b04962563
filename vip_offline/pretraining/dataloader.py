"""From clips to the pictures of a batch, prepared ahead by threads beside the training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.image_nuisance import ImageNuisances
from vip_offline.pretraining.sampling import Draw, crop_box, draw
from vip_offline.utils.parallel import threaded_map


@dataclass(frozen=True)
class Batch:
    """One process's share of a batch, and what the whole batch is made of."""

    step: int
    draw: Draw  # of all processes
    images: Tensor  # (F, b, 3, S, S) uint8: F frames of each of the share's b sub-trajectories


def share_of(batch_size: int, rank: int, processes: int) -> slice:
    """Return the members of a batch that one of several processes prepares.

    Raises:
        VipOfflineError: if they cannot have equal shares.
    """
    if batch_size % processes:
        raise VipOfflineError(
            f"--batch-size {batch_size}: is that of all processes together, and {processes} "
            f"processes cannot share it equally. Take a multiple of {processes}."
        )
    share = batch_size // processes
    return slice(rank * share, (rank + 1) * share)


def packing_side(resize: int, crop: int) -> int:
    """Short side in px at which frames are kept for random crops of which `crop` px are made.

    A publisher's resize where it is larger than the crop (256 for 224, as VIP's own frames);
    otherwise one and a half times the crop, of which the mean random crop takes 0.77 of a side.
    """
    return resize if resize > crop else crop * 3 // 2


def cropped(
    frames: NDArray[np.uint8], preprocessing: Preprocessing, crop_random: NDArray[np.float64] | None
) -> Tensor:
    """(F, H, W, 3) frames of one sub-trajectory -> (F, 3, S, S) uint8, all by one crop.

    The released code crops at random, then resizes and crops the centre: an eighth of what it drew
    is thrown away at each border. Here the random crop is what the network sees.

    Args:
        frames: RGB.
        preprocessing: of the encoder when it is used.
        crop_random: (TRIES, 4) of a random crop (see `crop_box`); None: no crop but that one.
    """
    height, width = frames.shape[1:3]
    if crop_random is None:
        side = round(min(height, width) * preprocessing.crop / preprocessing.resize)
        top, left, high, wide = (height - side) // 2, (width - side) // 2, side, side
    else:
        top, left, high, wide = crop_box(crop_random, height, width)
    images = rearrange(torch.from_numpy(frames), "f h w c -> f c h w")
    images = images[..., top : top + high, left : left + wide]
    size = [preprocessing.crop, preprocessing.crop]
    if [high, wide] != size:
        images = cast("Tensor", pixels.resize(images, size, antialias=True))
    return images


def load_batches(
    clips: Clips,
    options: PretrainOptions,
    preprocessing: Preprocessing,
    steps: Iterable[int],
    mine: slice = slice(None),
) -> Iterator[Batch]:
    """Yield the batches of these steps in order; a few are prepared ahead by threads.

    Args:
        clips: what is trained on.
        options: which sampling, how many.
        preprocessing: of the encoder when it is used.
        steps: numbers from 1.
        mine: the share of this process; see `share_of`.

    Raises:
        VipOfflineError: if a frame cannot be read, naming it; see `sampling.draw`.
    """
    lengths, takes = clips.lengths, clips.takes

    def prepare(step: int) -> Batch:
        drawn = draw(
            lengths,
            takes,
            options.seed,
            step,
            objective=options.objective,
            batch_size=options.batch_size,
            negatives=options.negatives,
            sampling=options.sampling,
            stride=options.stride,
            groups=clips.groups,
            other_goal_share=options.other_goals,
            goal_nuisance_share=options.goal_augment,
        )
        images = pictures(clips, drawn, preprocessing, options.crop, mine)
        return Batch(step, drawn, augmented(images, drawn, options.augment, mine))

    # a reader's own operations leave the cores to the other readers and to the network; torch
    # hands the last number that was set to threads that start later
    before = torch.get_num_threads()
    try:
        yield from threaded_map(prepare, steps, options.readers, lambda: torch.set_num_threads(1))
    finally:
        torch.set_num_threads(before)


def pictures(
    clips: Clips, drawn: Draw, preprocessing: Preprocessing, crop: bool, mine: slice = slice(None)
) -> Tensor:
    """(F, b, 3, S, S) uint8 of a share of a batch."""
    members = range(len(drawn.clips))[mine]
    images = torch.empty(
        (drawn.rows.shape[1], len(members), 3, preprocessing.crop, preprocessing.crop),
        dtype=torch.uint8,
    )
    for place, member in enumerate(members):
        rows, of_goal = drawn.rows[member], int(drawn.goal_clips[member])
        crop_random = drawn.crop_random[member] if crop else None
        own = len(rows) if of_goal == drawn.clips[member] else len(rows) - 1
        frames = clips.read(int(drawn.clips[member]), rows[:own])
        images[:own, place] = cropped(frames, preprocessing, crop_random)
        if own < len(rows):
            goal = clips.read(of_goal, rows[own:])
            images[own:, place] = cropped(goal, preprocessing, crop_random)
    return images


def augmented(images: Tensor, drawn: Draw, strength: float, mine: slice = slice(None)) -> Tensor:
    """(F, b, 3, S, S) uint8 -> the same with image nuisances: one per member, one for its goal."""
    if not strength:
        return images
    random = np.repeat(drawn.nuisance_random[mine], [images.shape[0] - 1, 1], axis=1)
    flat = torch.from_numpy(rearrange(random, "b f n -> (f b) n")).float()
    phase = torch.from_numpy(rearrange(drawn.phases[mine], "b f -> (f b)")).float()
    pictures = rearrange(images, "f b c h w -> (f b) c h w")
    changed = ImageNuisances.drawn(flat, strength)(pictures, phase)
    return rearrange(changed, "(f b) c h w -> f b c h w", f=images.shape[0])
