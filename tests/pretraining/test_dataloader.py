import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from made_up_pretraining import MadeUpClips, small
from numpy.typing import NDArray
from torch import Tensor

from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import RESNET, entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.dataloader import (
    cropped,
    load_batches,
    packing_side,
    pictures,
    share_of,
)
from vip_offline.pretraining.sampling import draw

MINI = entry_of("vip-mini").preprocessing
UNSCALED = (0.0,) * 3, (1 / 255,) * 3


class Ramps:
    """Clips of which each pixel says where it was: red down, green across, blue the frame."""

    def __init__(self, height: int = 80, width: int = 120, count: int = 5) -> None:
        self.lengths = np.full(count, 9, np.int64)
        self.groups, self.takes = np.zeros(count, np.int64), np.arange(count)
        self.group_names: tuple[str, ...] = ("ramps",)
        self.fingerprint = "ramps"
        self.skipped: tuple[str, ...] = ()
        down, across = np.mgrid[:height, :width]
        self._place = np.stack([down, across, np.zeros_like(down)], axis=-1).astype(np.uint8)

    def name(self, clip: int) -> str:
        return f"ramp {clip}"

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        frames = np.repeat(self._place[None], len(rows), axis=0)
        frames[..., 2] = 20 * rows[:, None, None] + clip
        return frames


class Broken(Ramps):
    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        raise VipOfflineError(f"ramp {clip}, frame {rows[0]}: cannot be read")


def images_of(clips: Any, steps: int = 3, mine: slice = slice(None), **changes: Any) -> Tensor:
    """(steps, F, b, 3, S, S)."""
    prepared = list(load_batches(clips, small(**changes), MINI, range(1, steps + 1), mine))
    assert [batch.step for batch in prepared] == list(range(1, steps + 1))
    return torch.stack([batch.images for batch in prepared])


def test_processes_share_a_batch_without_a_gap() -> None:
    assert share_of(6, 0, 1) == slice(0, 6)
    shares = [list(range(6))[share_of(6, rank, 3)] for rank in range(3)]
    assert shares == [[0, 1], [2, 3], [4, 5]]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(VipOfflineError, match=r"--batch-size 32.* 3 processes .* multiple of 3"):
        share_of(32, 0, 3)


@pytest.mark.parametrize(
    ("resize", "crop", "side"), [(256, 224, 256), (64, 64, 96), (224, 224, 336)]
)
def test_frames_are_packed_with_room_for_crops(resize: int, crop: int, side: int) -> None:
    assert packing_side(resize, crop) == side


def test_all_frames_of_a_sub_trajectory_have_one_crop() -> None:
    batch = images_of(Ramps(), steps=1, batch_size=5)[0]  # F, B, 3, S, S
    place = batch[:, :, :2]
    assert (place == place[:1]).all()
    # and each sub-trajectory its own
    boxes = {tuple(frame[:, 0, 0].tolist() + frame[:, -1, -1].tolist()) for frame in place[0]}
    assert len(boxes) == 5


def test_frames_are_those_that_were_drawn() -> None:
    options = small(batch_size=5)
    (batch,) = load_batches(Ramps(), options, MINI, [7])
    expected = draw(
        Ramps().lengths,
        Ramps().takes,
        options.seed,
        7,
        objective=options.objective,
        batch_size=5,
        negatives=options.negatives,
    )
    np.testing.assert_array_equal(batch.draw.rows, expected.rows)
    np.testing.assert_array_equal(batch.draw.negatives, expected.negatives)
    blue = batch.images[:, :, 2, 0, 0].numpy()
    np.testing.assert_array_equal(blue, (20 * expected.rows + expected.clips[:, None]).T)


@pytest.mark.parametrize("objective", ["vip", "tcn", "lstd"])
def test_an_objective_has_its_number_of_frames(objective: str) -> None:
    batch = images_of(Ramps(), steps=1, objective=objective)
    assert batch.shape == (1, 3 if objective == "tcn" else 4, 4, 3, 64, 64)
    assert batch.dtype == torch.uint8


@pytest.mark.parametrize("shape", [(64, 64), (96, 128), (128, 96), (48, 64), (256, 320)])
@pytest.mark.parametrize(
    "seen", [MINI, Preprocessing(256, 224, *UNSCALED), RESNET], ids=["mini", "256-224", "resnet"]
)
def test_without_a_random_crop_the_picture_is_that_of_use(
    shape: tuple[int, int], seen: Preprocessing
) -> None:
    """Geometry within a px of a smooth picture; the two round where they cut in other places."""
    height, width = shape
    down, across = np.mgrid[:height, :width].astype(np.float64)
    ramps = np.stack([down / height, across / width, down * 0], axis=-1) * 255
    frames = ramps.round().astype(np.uint8)[None]
    used = Preprocessing(seen.resize, seen.crop, *UNSCALED)(frames) / 255
    picture = cropped(frames, seen, None).float() / 255
    px = 1 / min(height, width) + 1 / seen.crop
    assert picture.shape == used.shape
    assert (picture - used).abs().max() <= px


def test_a_frame_of_its_size_is_taken_as_it_is() -> None:
    frames = Ramps(64, 64).read(0, np.array([3, 1]))
    np.testing.assert_array_equal(cropped(frames, MINI, None).permute(0, 2, 3, 1).numpy(), frames)


def test_the_random_crop_is_what_the_network_sees() -> None:
    frames = Ramps().read(0, np.array([3]))
    whole = np.full((10, 4), 0.5)
    top, left, high, wide = (13, 29, 62, 62)  # 0.4 of the area, square, in the middle
    whole[:, 0] = 0.25
    (picture,) = cropped(frames, MINI, whole)
    corner, opposite = picture[:2, 0, 0].tolist(), picture[:2, -1, -1].tolist()
    assert corner == pytest.approx([(80 - high) // 2, (120 - wide) // 2], abs=1)
    assert opposite == pytest.approx([top + high - 5, left + wide - 1], abs=6)


@pytest.mark.parametrize("readers", [2, 5])
def test_readers_change_nothing(readers: int) -> None:
    clips = MadeUpClips()
    assert torch.equal(images_of(clips, 4, readers=readers), images_of(clips, 4, readers=1))


@pytest.mark.parametrize("crop", [True, False])
def test_the_shares_of_two_processes_are_the_batch_of_one(crop: bool) -> None:
    clips = Ramps()
    whole = images_of(clips, crop=crop)
    shares = [images_of(clips, crop=crop, mine=share_of(4, rank, 2)) for rank in range(2)]
    assert all(share.shape[2] == 2 for share in shares)
    assert torch.equal(torch.cat(shares, dim=2), whole)


def threads_of_a_new_thread() -> int:
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return counts[0]


@pytest.fixture
def three_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def exhaust(clips: Ramps) -> None:
    images_of(clips)


def leave_early(clips: Ramps) -> None:
    prepared = load_batches(clips, small(), MINI, range(1, 100))
    next(prepared)
    prepared.close()  # type: ignore[attr-defined]


def fail(clips: Ramps) -> None:
    with pytest.raises(VipOfflineError):
        images_of(Broken())


@pytest.mark.parametrize("way", [exhaust, leave_early, fail])
def test_torchs_threads_are_as_before(three_threads: None, way: Callable[[Ramps], None]) -> None:
    way(Ramps())
    assert torch.get_num_threads() == 3
    assert threads_of_a_new_thread() == 3


def test_a_frame_that_cannot_be_read_is_named() -> None:
    with pytest.raises(VipOfflineError, match=r"ramp \d, frame \d: cannot be read"):
        images_of(Broken())


def test_too_few_clips_for_negatives_are_refused() -> None:
    with pytest.raises(VipOfflineError, match="one clip only"):
        images_of(Ramps(count=1))


def test_a_share_reads_its_own_clips_alone() -> None:
    clips, read = Ramps(), list[int]()

    class Noted(Ramps):
        def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            read.append(clip)
            return super().read(clip, rows)

    drawn = draw(clips.lengths, clips.takes, 0, 1, objective="vip", batch_size=4, negatives=1)
    pictures(Noted(), drawn, MINI, crop=True, mine=slice(2, 4))
    assert read == drawn.clips[2:].tolist()


def test_a_goal_of_another_clip_is_read_from_it() -> None:
    options = small(batch_size=5, other_goals=1.0, crop=False)
    (batch,) = load_batches(Ramps(64, 64), options, MINI, [7])
    assert (batch.draw.goal_clips != batch.draw.clips).all()
    blue = batch.images[:, :, 2, 0, 0].T.numpy()  # (B, F): 20 times the row, and the clip
    clips = np.repeat(batch.draw.clips[:, None], 4, axis=1)
    clips[:, -1] = batch.draw.goal_clips
    np.testing.assert_array_equal(blue, 20 * batch.draw.rows + clips)


def test_goals_of_another_size_are_cropped_alike() -> None:
    class Mixed(Ramps):
        def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            return super().read(clip, rows)[:, : 80 - 8 * clip, : 120 - 8 * clip]

    assert images_of(Mixed(), steps=2, batch_size=5, other_goals=1.0).shape[-1] == 64


def test_nuisances_are_one_per_sub_trajectory_and_another_of_the_goal() -> None:
    class Still(Ramps):
        def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
            return super().read(clip, rows * 0)

    plain = images_of(Still(), steps=1, batch_size=5)[0]
    assert torch.equal(plain[0], plain[-1])
    options: dict[str, Any] = {"batch_size": 5, "augment": 1.0}
    alike = images_of(Still(), steps=1, **options)[0]
    apart = images_of(Still(), steps=1, goal_augment=1.0, **options)[0]
    for images in (alike, apart):
        colours = images.float().mean(dim=(3, 4))  # (F, B, 3); patches drift, colours do not
        assert (colours[0] - colours[1]).abs().max() < 15
        assert (colours[0] - plain.float().mean(dim=(3, 4))[0]).abs().max() > 5
    assert torch.equal(alike[:-1], apart[:-1])
    assert (apart[-1].float() - alike[-1].float()).abs().mean() > 5


def test_processes_share_nuisances_as_one_would_have_them() -> None:
    options: dict[str, Any] = {"batch_size": 4, "augment": 1.0, "other_goals": 0.5}
    options["goal_augment"] = 0.7
    whole = images_of(Ramps(), **options)
    parts = [images_of(Ramps(), mine=share_of(4, rank, 2), **options) for rank in (0, 1)]
    assert torch.equal(torch.cat(parts, dim=2), whole)
