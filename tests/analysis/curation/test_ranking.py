import numpy as np
import pytest

from vip_offline.analysis.curation.ranking import losses, rank, ways_covered, worst_segments

GOOD = np.linspace(1.0, 0.0, 50)
SHORT = np.linspace(1.0, 0.6, 50)
UNDONE = np.concatenate([np.linspace(1.0, 0.0, 40), np.linspace(0.0, 1.0, 40)])


def test_the_best_cover_the_whole_way() -> None:
    covered = ways_covered([GOOD, GOOD, SHORT, UNDONE, np.full(50, np.nan)])
    assert covered[:4] == pytest.approx([1, 1, 0.4, 0], abs=0.08)
    assert np.isnan(covered[4])


def test_nothing_is_judged_where_nobody_comes_nearer() -> None:
    ranked = rank([GOOD[::-1], GOOD[::-1]], [(0, 0)] * 2, [()] * 2, 0.7)
    assert all(episode.keep and "unjudged" in episode.reasons[0] for episode in ranked)


def test_the_ranking_says_why() -> None:
    idle, flags = [(0, 9), (0, 0), (0, 0)], [(), (), ("camera moved",)]
    ranked = rank([GOOD, SHORT, UNDONE], idle, flags, 0.7)
    assert [(episode.episode, episode.keep) for episode in ranked] == [
        (0, True),
        (1, False),
        (2, False),
    ]
    assert "stands still from frame 41 to 49" in ranked[0].reasons
    assert any(reason.startswith("loses ") for reason in ranked[2].reasons)
    assert "camera moved" in ranked[2].reasons
    assert (ranked[0].segments[0].start, ranked[0].segments[0].stop) == (41, 50)


def test_where_it_goes_away() -> None:
    (segment,) = losses(UNDONE, 1.0)
    assert abs(segment.start - 40) < 4
    assert abs(segment.stop - 80) < 4
    assert losses(GOOD, 1.0) == []


def test_segments_are_ranked_by_what_they_lose() -> None:
    back = np.concatenate([np.linspace(0.4, 0.8, 20), np.linspace(0.8, 0.0, 20)])
    twice = np.concatenate([np.linspace(1.0, 0.4, 30), back, np.linspace(0.0, 0.7, 30)])
    first, second = losses(twice, 1.0)
    assert (first.lost, second.lost) == pytest.approx((0.7, 0.4), abs=0.08)
    assert second.stop <= first.start
    ranked = rank([GOOD, UNDONE, twice], [(0, 9), (7, 4), (0, 0)], [()] * 3, 0.7)
    worst = [(episode, segment.reason.split()[0]) for episode, segment in worst_segments(ranked)]
    assert worst == [(1, "loses"), (2, "loses"), (2, "loses"), (0, "stands"), (1, "stands")]
