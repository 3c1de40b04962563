from pathlib import Path

import numpy as np
import pytest
from conftest import LENGTHS, SIZE
from PIL import Image

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.goals import Goals, choose_goals

LAST = (LENGTHS[0] - 1, sum(LENGTHS) - 1)  # rows of the two successes' last frames


def rows_of(store_path: Path, *goal: str) -> tuple[int, ...]:
    (stage,) = choose_goals(open_store(store_path), goal, ()).stages
    return stage.rows


def save(path: Path, level: int = 100, size: tuple[int, int] = (SIZE, SIZE)) -> Path:
    Image.fromarray(np.full((size[1], size[0], 3), level, np.uint8)).save(path)
    return path


def test_frames_of_the_store(store_path: Path) -> None:
    assert rows_of(store_path, "successes") == LAST
    assert rows_of(store_path, "1:2") == (LENGTHS[0] + 2,)
    assert rows_of(store_path, "1:-1") == (LENGTHS[0] + LENGTHS[1] - 1,)
    assert rows_of(store_path, "-1:-1", "0:0") == (sum(LENGTHS) - 1, 0)
    assert rows_of(store_path, "0:0, 0:1,successes") == (0, 1, *LAST)
    assert choose_goals(open_store(store_path), ("last",), ()) == Goals(())


def test_stages_one_after_the_other(store_path: Path, tmp_path: Path) -> None:
    picture = save(tmp_path / "half way, from the front.png")  # a name with a comma
    goals = choose_goals(open_store(store_path), ("successes",), (str(picture), "0:1,0:2"))
    first, second = goals.stages
    assert [picture.path for picture in first.pictures] == [str(picture)]
    assert second.rows == (1, 2)
    assert goals.description == f"picture {picture}, then the mean of frame 0:1 and frame 0:2"
    assert goals.provenance()["goal_rows"] == [1, 2]


def test_words_may_hold_commas(store_path: Path) -> None:
    goals = choose_goals(open_store(store_path), ("text: close it, slowly",), ())
    assert goals.stages[0].prompts == ("close it, slowly",)
    assert goals.in_words


@pytest.mark.parametrize(
    ("goal", "part"),
    [
        (("3:0",), "has episodes 0 to 2"),
        (("0:5",), "episode 0 .* has frames 0 to 4"),
        (("0:-6",), "episode 0 .* has frames 0 to 4"),
        (("absent.png",), "is no file"),
        (("sucesses",), "Did you mean 'successes'"),
        (("last", "0:0"), "Give it alone"),
    ],
)
def test_goals_that_are_not_there(store_path: Path, goal: tuple[str, ...], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        choose_goals(open_store(store_path), goal, ())


def test_pictures_that_cannot_be_read(store_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    page.write_text("<html>404</html>")
    store = open_store(store_path)
    with pytest.raises(VipOfflineError, match=r"page\.png: is no picture that can be read"):
        choose_goals(store, (str(page),), ())
    with pytest.raises(VipOfflineError, match="is no file"):
        choose_goals(store, (str(tmp_path),), ())


def test_a_picture_is_held_upright_and_of_eight_bits(store_path: Path, tmp_path: Path) -> None:
    frame = np.zeros((4, 8), np.uint8)
    frame[:, :4] = 200
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    path = tmp_path / "turned.png"
    Image.fromarray(frame.astype(np.uint16) * 257).save(path, exif=exif)
    (stage,) = choose_goals(open_store(store_path), (str(path),), ()).stages
    np.testing.assert_array_equal(stage.pictures[0].frame[..., 1], frame[::-1, ::-1])
