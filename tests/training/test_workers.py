from pathlib import Path

import numpy as np

from vip_offline.training.networks.descent import Columns, Settings, State, advance, shapes
from vip_offline.training.workers import Crew
from vip_offline.utils.files import only_writer

SETTINGS = Settings((6, 8, 2), None, 4, 1e-3, (0.9, 0.999), 1e-8)


def test_steps_taken_elsewhere_and_nothing_left_behind(tmp_path: Path) -> None:
    killed, living = tmp_path / ".columns-1.partial", tmp_path / ".columns-2.partial"
    for each in (killed, living):
        each.mkdir()
    generator = np.random.default_rng(0)
    columns = Columns(
        generator.normal(size=(20, 6)).astype(np.float32),
        generator.uniform(-1, 1, (20, 2)).astype(np.float32),
        np.ones((20, 1), np.float32),
    )
    count = sum(int(np.prod(each)) for each in shapes(SETTINGS.widths, gaussian=False))
    flat = generator.normal(size=count).astype(np.float32)
    drawn = tuple(np.random.RandomState(0).get_state(legacy=True))
    state = State(flat, np.zeros_like(flat), np.zeros_like(flat), 0, drawn)
    with only_writer(living), Crew(1, tmp_path) as crew:
        assert not killed.exists()  # what a killed crew left is swept away
        there, told = crew.advance(state, columns, SETTINGS, 7).result()
        assert living.exists()
    here, loss = advance(state, columns, SETTINGS, 7)
    assert told == loss
    np.testing.assert_array_equal(there.parameters, here.parameters)
    assert [each.name for each in tmp_path.iterdir()] == [living.name]
