from pathlib import Path

import numpy as np
import pytest
from origins import minari

from vip_offline.data.sources.minari import Minari
from vip_offline.errors import VipOfflineError


def test_the_last_row_has_no_action(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    source = Minari(tmp_path / "set")
    rows = source.read(0, ["actions", "rewards", "terminations"])
    actions = rows.columns["actions"]
    assert isinstance(actions, np.ndarray)
    assert np.isnan(actions[-1]).all() and np.isfinite(actions[:-1]).all()


def test_discrete_actions_are_refused(tmp_path: Path) -> None:
    minari(tmp_path / "set", discrete=True)
    with pytest.raises(VipOfflineError, match=r"Discrete\(4\): discrete"):
        Minari(tmp_path / "set").catalogue()


def test_what_minari_cannot_open(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/metadata.json").write_text("{}")
    with pytest.raises(VipOfflineError, match="Minari cannot open it"):
        Minari(tmp_path)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    minari(tmp_path / "set")
    with pytest.raises(VipOfflineError, match="has no observations"):
        Minari(tmp_path / "set").read(0, ["observations.depth"])
