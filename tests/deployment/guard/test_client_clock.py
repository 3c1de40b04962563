"""Made-up clocks and networks, so that each observation's true delay is known."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.deployment.guard.client_clock import AGREE, DRIFT, SLEW, ClientClock, Reading

Floats = NDArray[np.float64]
WEEK = 7 * 24 * 3600
LIMIT = 1.0
MINUTE = 60 * (SLEW + DRIFT)


def read(
    clock: ClientClock, sent: Iterable[float], delays: Iterable[float], drift: float, offset: float
) -> list[Reading]:
    """Of observations that were sent at these true times and took so long."""
    return [
        clock.read((1 + drift) * time + offset, time + delay)
        for time, delay in zip(sent, delays, strict=True)
    ]


def ordered(sent: Floats, delays: Floats) -> Floats:
    """Delays on a socket, where nothing overtakes: who waits makes those behind wait."""
    arrived: Floats = np.maximum.accumulate(sent + delays)
    return arrived - sent


@pytest.mark.slow
@pytest.mark.parametrize("drift", [-1e-4, 2e-5, 1e-4])
def test_a_week_of_drift_and_of_queues_that_come_and_go(drift: float) -> None:
    """Every three seconds one observation; one in a thousand is really late, and only those are."""
    generator = np.random.default_rng(1)
    sent = np.arange(0.0, WEEK, 3.0)
    delays = generator.exponential(0.05, len(sent))
    really = generator.random(len(sent)) < 1e-3
    really[:60] = False
    delays[really] += generator.uniform(LIMIT, 10, really.sum())
    delays = ordered(sent, delays)
    readings = read(ClientClock(LIMIT), sent, delays, drift, 1.7e9)
    late = np.array([reading.late for reading in readings])
    assert all(reading.grew and not reading.step for reading in readings)
    # nobody of the last minute took less than this
    before = np.concatenate([np.full(19, delays[0]), delays])
    least = np.lib.stride_tricks.sliding_window_view(before, 20).min(axis=1)
    assert (late[delays > LIMIT + least + MINUTE] > LIMIT).all()
    assert (late[delays < LIMIT - 0.01] <= LIMIT).all()
    assert np.abs(late - (delays - least)).max() < MINUTE + 0.01


@pytest.mark.parametrize("drift", [-1e-4, 1e-4])
def test_a_pause_of_the_network_whose_frames_come_in_a_burst(drift: float) -> None:
    """50 Hz, half a second's pause each minute, for a limit of 0.2 s."""
    sent = np.arange(0.0, 600, 0.02)
    delays = np.random.default_rng(2).exponential(0.002, len(sent))
    since = sent % 60
    paused = (since >= 30) & (since < 30.5)
    delays[paused] += 30.5 - since[paused]
    delays = ordered(sent, delays)
    late = np.array([reading.late for reading in read(ClientClock(0.2), sent, delays, drift, -5e4)])
    assert (late[delays > 0.2 + MINUTE] > 0.2).all()
    assert (late[delays < 0.19] <= 0.2).all()
    assert (late > 0.2).sum() > 10 * 12


def steps(count: int, size: float) -> Iterator[tuple[float, bool]]:
    """What a clock was set by, and whether just now, at each of so many observations."""
    total = 0.0
    for index in range(count):
        now = index % 900 == 450
        total += now * size
        yield total, now


@pytest.mark.parametrize("size", [2.0, -2.0])
@pytest.mark.parametrize("drift", [-1e-4, 1e-4])
@pytest.mark.parametrize("period", [0.02, 0.1, 0.5])
def test_a_clock_that_is_set_is_followed_and_said_once(
    size: float, drift: float, period: float
) -> None:
    count = 9_000
    sent: Floats = np.arange(count, dtype=np.float64) * period
    delays = ordered(sent, np.random.default_rng(3).exponential(0.005, count))
    clock, held, measured = ClientClock(LIMIT), 0, []
    for time, delay, (total, now) in zip(sent, delays, steps(count, size), strict=True):
        held = 0 if now else held
        reading = clock.read((1 + drift) * time + total, time + delay)
        held += not reading.grew or reading.late > LIMIT
        assert held <= 4 * AGREE
        if reading.step:
            measured.append(reading.step)
            assert reading.held == held
    np.testing.assert_allclose(measured, [size] * 10, atol=0.06)


def test_a_clock_that_is_set_back_in_a_burst_does_not_make_the_burst_the_measure() -> None:
    clock = ClientClock(0.2)
    sent = np.arange(0.0, 20, 0.02)
    total = np.where(sent < 10, 0.0, -2.0)
    delays = np.full(len(sent), 0.002)
    paused = (sent >= 10) & (sent < 10.5)
    delays[paused] = 10.5 - sent[paused]
    delays = ordered(sent, delays)
    readings = [
        clock.read(time + step, time + delay)
        for time, step, delay in zip(sent, total, delays, strict=True)
    ]
    accepted = np.array([reading.grew and reading.late <= 0.2 for reading in readings])
    assert not accepted[delays > 0.21].any()
    assert accepted[sent > 10.7].all()
    assert [round(reading.step, 1) for reading in readings if reading.step] == [-2.0]


@pytest.mark.parametrize("drift", [-1e-4, 0.0, 1e-4])
def test_a_delay_that_stays_is_never_taken_for_the_clock(drift: float) -> None:
    """A queue that nobody empties: two seconds late for two days."""
    sent = np.arange(0.0, 2 * 24 * 3600, 2.9)
    delays = np.where(sent < 60, 0.01, 2.01)
    readings = read(ClientClock(LIMIT), sent, delays, drift, 7.0)
    assert all(reading.late > LIMIT for reading in readings[21:])


def test_a_delay_that_creeps_up_is_noticed() -> None:
    """A policy a little slower than its camera: 0.1 percent, 3.6 s an hour."""
    sent = np.arange(0.0, 2 * 3600, 0.5)
    readings = read(ClientClock(LIMIT), sent, 1e-3 * sent, 1e-4, 0.0)
    late = np.array([reading.late for reading in readings])
    assert (late[sent > LIMIT / (1e-3 - SLEW - DRIFT) + 10] > LIMIT).all()


def test_what_is_repeated_is_no_clock_that_was_set() -> None:
    clock = ClientClock(LIMIT)
    stamps = [1.0, 2.0, *[2.0] * 20, 1.0, *[1.0] * 20, *[1.5, 1.2] * 10, 2.1]
    grew = [clock.read(stamp, 0.01 * at).grew for at, stamp in enumerate(stamps)]
    assert [at for at, is_larger in enumerate(grew) if is_larger] == [0, 1, len(stamps) - 1]
