import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import brightness_episode
from store_files import overwrite

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.export_data import export, record_of
from vip_offline.experiments.provenance import TRUE, UNKNOWN, made_of_folder, made_of_store
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.policies.checksums import SUMS
from vip_offline.policies.policy import MANIFEST, READ, TENSORS
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.rollout import RESULT
from vip_offline.training.run import train
from vip_offline.utils.files import sha256_of

SMALL = TrainOptions(tau=1.0, steps=5, hidden=(4,), batch_size=4)


def still(path: Path) -> dict[str, str]:
    """What was made -> whether that is still true."""
    rows = made_of_store(open_store(path)) if path.suffix == ".zarr" else made_of_folder(path)
    return {row.what.split()[0]: row.still for row in rows}


@pytest.fixture
def policy(labelled: Path, tmp_path: Path) -> Path:
    train(labelled, SMALL, tmp_path / "policy")
    return tmp_path / "policy"


def test_settings_and_sources_are_named(labelled: Path, policy: Path) -> None:
    embedding, label = made_of_store(open_store(labelled))
    assert (embedding.what, embedding.source) == ("embedding pixels/front", "frames of front")
    assert label.settings == "difference, l2, goal: the mean of the last frames of 2 successes"
    (row,) = made_of_folder(policy)
    assert row.source == f"{labelled}, label pixels"
    assert row.settings == "rwr, seed 0, 5 steps"
    assert (embedding.still, label.still, row.still) == (TRUE, TRUE, TRUE)


def test_an_embedding_and_a_label_of_other_frames(labelled: Path, policy: Path) -> None:
    overwrite(labelled, "data/frames_front", 6, 200)
    outdated = "the embedding pixels/front of episode 1 is outdated"
    assert still(labelled) == {
        "embedding": "no: outdated in episode 1; relabel computes it again",
        "label": f"no: {outdated}; relabel makes it again",
    }
    assert still(policy) == {
        "policy": f"no: its label: {outdated}; relabel, then train make both again"
    }


def test_episodes_that_were_added(labelled: Path) -> None:
    with writing(labelled) as store:
        store.append(brightness_episode(6, True, 9))
    assert still(labelled) == {
        "embedding": "no: lacks 1 of 4 episodes; relabel computes them",
        "label": "no: it covers 3 of 4 episodes; relabel makes it again",
    }


def test_a_policy_of_one_labelling_among_several(labelled: Path, policy: Path) -> None:
    relabel(labelled, RelabelOptions(encoder="pixels", name="second", reward="distance"))
    assert still(policy) == {"policy": TRUE}


def test_what_an_earlier_release_did_not_write_down(labelled: Path, policy: Path) -> None:
    for name in (READ, SUMS):
        (policy / name).unlink()
    manifest = json.loads((policy / MANIFEST).read_text())
    (policy / MANIFEST).write_text(json.dumps({**manifest, "version": 1}))
    (policy / RESULT).write_text(
        json.dumps({"placements": [1], "success": [True], "steps": [3], "horizon": 5})
    )
    assert still(policy) == {"policy": UNKNOWN, "rollouts": UNKNOWN}


def test_rollouts_of_another_policy_and_damaged_ones(policy: Path) -> None:
    rollouts = {"placements": [1], "success": [True], "steps": [3], "horizon": 5}
    for digest, said in (
        (sha256_of(policy / TENSORS), TRUE),
        ("0" * 64, "no: the policy is another one by now"),
    ):
        (policy / RESULT).write_text(json.dumps({**rollouts, "policy": digest}))
        assert still(policy)["rollouts"] == said
    (policy / RESULT).write_text("{")
    assert still(policy)["rollouts"] == "no: damaged; rollout makes them again"


def test_the_nuisance_of_rollouts_is_named(policy: Path) -> None:
    rollouts = {"placements": [1], "success": [True], "steps": [3], "horizon": 5}
    for nuisance, settings in (
        ({}, "1 placements, horizon 5"),
        (
            {"nuisance": ["light", "tint"], "nuisance_level": 2},
            "1 placements, horizon 5, nuisance light+tint at level 2",
        ),
    ):
        (policy / RESULT).write_text(json.dumps(rollouts | nuisance))
        _, row = made_of_folder(policy)
        assert row.settings == settings


def test_a_damaged_policy_hides_no_other(labelled: Path, policy: Path, tmp_path: Path) -> None:
    for name, file in (("a", READ), ("b", MANIFEST)):
        shutil.copytree(policy, tmp_path / "runs" / name)
        (tmp_path / "runs" / name / file).write_text("{")
    shutil.copytree(policy, tmp_path / "runs" / "c")
    damaged, other, whole = made_of_folder(tmp_path / "runs")
    assert damaged.still.startswith("no: damaged: ") and READ in damaged.still
    assert other.still.startswith("no: damaged: ") and MANIFEST in other.still
    assert whole.still == TRUE


def test_a_comparison_of_rollouts_that_changed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / RESULT).write_text("{}")
    made_from = {"rollouts": {"a": sha256_of(tmp_path / "a" / RESULT)}}
    (tmp_path / "comparison.json").write_text(json.dumps({"made_from": made_from}))
    assert still(tmp_path) == {"comparison": TRUE}
    (tmp_path / "a" / RESULT).write_text("{ }")
    assert still(tmp_path) == {"comparison": "no: rollouts of a changed"}
    (tmp_path / "comparison.json").write_text("{}")
    assert still(tmp_path) == {"comparison": UNKNOWN}


def test_a_comparison_by_held_out_errors_of_policies_that_changed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / TENSORS).write_text("trained")
    made_from = {"policies": {"a": sha256_of(tmp_path / "a" / TENSORS)}}
    (tmp_path / "comparison.json").write_text(json.dumps({"made_from": made_from}))
    assert still(tmp_path) == {"comparison": TRUE}
    (tmp_path / "a" / TENSORS).write_text("trained again")
    assert still(tmp_path) == {"comparison": "no: a changed"}


def test_a_store_that_is_gone_is_no_change(labelled: Path, policy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.hdf5"
    export(labelled, out, "robomimic")
    shutil.rmtree(labelled)
    said = f"not known: {labelled} is not there any more"
    assert still(policy) == {"policy": said}
    assert still(out) == {"export": said}


def test_a_labelling_that_is_gone_is_named(labelled: Path, policy: Path) -> None:
    shutil.rmtree(labelled / "labels" / "pixels")
    assert "no labels yet" in still(policy)["policy"]


def test_a_folder_of_nothing_of_ours(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(VipOfflineError, match="mine"):
        still(tmp_path / "mine")
    assert not record_of(tmp_path / "mine").exists()
    assert still(make_store()) == {}
