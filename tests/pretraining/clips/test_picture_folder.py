from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, rows, write_clip

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.folder_listing import names_of
from vip_offline.pretraining.clips.picture_folder import PictureClip


def clip_of(folder: Path) -> PictureClip:
    return PictureClip(str(folder), names_of(path.name for path in folder.iterdir()), "")


def test_frames_in_any_order_and_repeated(tmp_path: Path) -> None:
    frames = pictures(12)
    clip = clip_of(write_clip(tmp_path / "a", frames))
    assert clip.length == 12
    for requested in (rows(3), rows(11, 0, 2, 2), np.arange(12)):
        np.testing.assert_array_equal(clip.read(requested), frames[requested])


def test_a_missing_frame_is_named(tmp_path: Path) -> None:
    clip = clip_of(write_clip(tmp_path / "a", pictures(4)))
    (tmp_path / "a" / "2.png").unlink()
    with pytest.raises(VipOfflineError, match=r"a/2.png: is gone"):
        clip.read(rows(0, 2))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.97])
def test_a_damaged_frame_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    frames = pictures(3, size=(64, 64))
    clip = clip_of(write_clip(tmp_path / "a", frames, [f"{i}.{suffix}" for i in range(3)]))
    path = tmp_path / "a" / f"1.{suffix}"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(VipOfflineError, match=rf"a/1.{suffix}: is no picture that can be read"):
        clip.read(rows(0, 1))
    assert clip.read(rows(0, 2)).shape == (2, 64, 64, 3)


def test_frames_of_several_sizes(tmp_path: Path) -> None:
    write_clip(tmp_path / "a", pictures(2))
    write_clip(tmp_path / "a", pictures(1, size=(8, 8)), ["2.png"])
    clip = clip_of(tmp_path / "a")
    with pytest.raises(VipOfflineError, match=r"a/2.png: is 8 x 8 px, and 1.png is 24 x 16"):
        clip.read(rows(2, 1))
