import dataclasses
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM

from vip_offline.config import dump, load_table_recipe
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.recipes.table import (
    cells_of,
    check_table,
    copy_demonstrations,
    run_table,
)
from vip_offline.options import PretrainOptions, TableOptions, TableRecipe
from vip_offline.utils.console import quiet_bar

SMOKE = Path(__file__).parents[3] / "recipes" / "table-smoke.toml"


def smoke(tmp_path: Path, **changes: object) -> TableRecipe:
    recipe = load_table_recipe(SMOKE)
    assert recipe is not None
    return dataclasses.replace(
        recipe,
        out=str(tmp_path / "out"),
        folder=str(tmp_path / "data"),
        **changes,  # type: ignore[arg-type]
    )


def test_rows_of_one_encoder_and_number_of_seeds_share_a_cell(tmp_path: Path) -> None:
    rows = ("a=lite0/bc", "b=lite0/rwr-return", "c=lite0/scratch-bc", "d=in-domain/bc")
    recipe = smoke(tmp_path, table=TableOptions(rows, few=("c", "d"), few_seeds=3))
    cells = cells_of(recipe)
    task = "drawer-close"
    assert cells["a", task] is cells["b", task]
    assert cells["a", task].recipe.compare.arms == ("bc", "rwr-return")
    assert cells["a", task].recipe.compare.seeds == 1
    assert cells["c", task].recipe.compare.seeds == 3
    # one store for one set of embeddings; a checkpoint of its own has a copy
    assert cells["a", task].recipe.store == cells["c", task].recipe.store
    inside = cells["d", task]
    assert inside.recipe.store != cells["a", task].recipe.store
    assert str(inside.model) == inside.recipe.relabel.weights
    assert inside.recipe.relabel.encoder == PretrainOptions().backbone
    assert cells["a", task].recipe.record.episodes == 3
    assert cells["a", task].recipe.record.failures == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ()}, "needs table.rows and tasks"),
        ({"tasks": ("plate-slide-back=2+0",)}, "plate-slide-back"),  # it hides its goal
        ({"tasks": ("drawer-colse=2+0",)}, "drawer-colse"),
        ({"table": TableOptions(("a=lite0/bcc",))}, "Unknown variant 'bcc'"),
    ],
)
def test_what_would_fail_late_is_refused_at_once(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(VipOfflineError, match=message):
        check_table(smoke(tmp_path, **changes))


def test_all_rows_that_lack_their_encoder_are_named_before_anything_starts(tmp_path: Path) -> None:
    rows = ("a=lite0/bc", "b=r3m-50/bc", "c=vip:missing.pt/bc")
    with pytest.raises(VipOfflineError) as refused:
        check_table(smoke(tmp_path, table=TableOptions(rows)))
    text = str(refused.value)
    assert text.startswith("2 of 3 rows cannot be made")
    assert "\n  b: Encoder r3m-50 needs --weights" in text
    assert "\n  c: --weights missing.pt" in text
    assert not (tmp_path / "out").exists()


def test_checkpoints_of_ones_own_and_of_the_way_are_no_obstacle(tmp_path: Path) -> None:
    weights = tmp_path / "r3m.pt"
    weights.write_bytes(b"looked at when it is loaded")
    rows = (f"a=r3m-50:{weights}/bc", "b=in-domain/bc", "c=lite0/bc")
    own = PretrainOptions(backbone="vip-resnet18")
    check_table(smoke(tmp_path, table=TableOptions(rows), in_domain=own))


def test_an_encoder_s_own_store_has_nothing_of_the_others(labelled: Path) -> None:
    whole, own = open_store(labelled), labelled.with_name("own.zarr")
    assert whole.label_names and whole.encoders
    copy_demonstrations(labelled, own)
    copied = open_store(own)
    assert not copied.label_names and not copied.keys("embeddings/pixels")
    assert len(copied) == len(whole)
    np.testing.assert_array_equal(copied.frames("front", 0, 5), whole.frames("front", 0, 5))
    before = own.stat().st_ino
    copy_demonstrations(labelled, own)
    assert own.stat().st_ino == before
    assert {path.name for path in labelled.parent.iterdir()} == {labelled.name, own.name}


def run(recipe: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "run", str(recipe)], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.sim
def test_a_table_from_nothing_killed_and_gone_on_with(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(dump(smoke(tmp_path)))
    # killed in the middle of what takes longest
    with subprocess.Popen([*PROGRAM, "run", str(recipe)], cwd=tmp_path) as killed:
        wanted = tmp_path / "out" / "drawer-close"
        while killed.poll() is None and not list(wanted.glob("*/policies/*/*/manifest.json")):
            time.sleep(0.05)
        os.kill(killed.pid, signal.SIGKILL)
    assert not (tmp_path / "out" / "table.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in wanted.glob("*/policies/*/*/policy*")}
    assert kept
    done = run(recipe, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "VIP-BC" in done.stdout and "pixels-BC" in done.stdout
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    numbers = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["name"] for row in numbers["rows"]] == ["VIP-BC", "pixels-BC"]
    assert numbers["rows"][0]["tasks"]["drawer-close"]["paper_rollouts"] == 2

    # a table of other settings does not go into its folder
    other = smoke(tmp_path)
    other = dataclasses.replace(other, train=dataclasses.replace(other.train, steps=61))
    with pytest.raises(VipOfflineError, match="is of another table than this recipe"):
        run_table(other, quiet_bar, lambda line: None)
