import pytest

from vip_offline.dataset.importers.folders import pairing


@pytest.mark.parametrize(
    ("name", "key"),
    [("ep_007", (7,)), ("ep_3_cam1", (3,)), ("cam0", ()), ("day2_ep_10", (2, 10)), ("front", ())],
)
def test_a_cameras_number_is_not_the_episodes(name: str, key: tuple[int, ...]) -> None:
    assert pairing.key(name) == key


@pytest.mark.parametrize(
    ("outer", "inner", "episodes"),
    [
        (["mon"], ["ep_0", "ep_1"], True),
        (["push"], ["clip0"], True),
        (["train"], ["a", "b"], True),
        (["videos"], ["0", "1"], True),
        (["day_1"], ["ep_0", "ep_1"], True),
        (["mon"], ["cam0", "cam1"], False),
        (["mon"], ["front", "wrist"], False),
        (["train"], ["left", "right"], False),
        (["ep_0"], ["0", "1"], False),
        (["ep_0", "cams"], ["0", "1"], False),
        (["open"], ["a", "b"], False),
    ],
)
def test_what_lies_in_a_folder(outer: list[str], inner: list[str], episodes: bool) -> None:
    assert pairing.are_episodes(outer, inner) is episodes


def test_tables_tell_which_number_is_meant() -> None:
    assert pairing.episode_numbers(["rgb_0"], ["robot_0"]) == {"rgb_0": (0,), "robot_0": (0,)}
    assert pairing.episode_numbers(["cam1_ep_0"], ["ep_0"])["cam1_ep_0"] == (0,)


def test_what_is_left_of_a_name_tells_cameras_apart() -> None:
    names = ["ep_0_cam1_rgb", "ep_0_actions"]
    common = set.intersection(*map(pairing.words, names))
    assert [pairing.label(name, common) for name in names] == ["cam1_rgb", "actions"]
    assert pairing.episode_name(names, common, (0,)) == "ep_0"
