from vip_offline.errors import did_you_mean


def test_the_nearest_name_comes_first() -> None:
    assert (
        did_you_mean("lite", ["pixels", "lite0"]) == " Did you mean 'lite0'? Known: lite0, pixels."
    )


def test_nothing_near_lists_all() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == " Known: a, b."
