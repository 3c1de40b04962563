import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM
from made_up_policies import trained_policy

from vip_offline.experiments.delete import delete_stage


@pytest.mark.slow
def test_what_is_freed_and_which_policies_name_it(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels")
    store, other = tmp_path / "demos.zarr", tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    said, note = delete_stage(store, ["pixels"], ["pixels/front"], runs=tmp_path)
    # 18 rows, but embeddings are stored 256 rows at a time
    assert said == "delete: label 'pixels', embedding pixels/front; 3.2 MB are free"
    assert f"trained on what is deleted: {folder}." in note
    shipping = subprocess.run(
        [*PROGRAM, "ship", str(folder)], capture_output=True, text=True, check=False
    )
    assert shipping.returncode == 2
    assert "holds it no longer (there are: none)" in shipping.stderr


@pytest.mark.slow
def test_the_command(labelled: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "delete", str(labelled), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run("--embedding", "pixels/front")
    assert refused.returncode == 2
    assert "--embedding pixels/front --label pixels`" in refused.stderr
    done = run("--embedding", "pixels/front", "--label", "pixels")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("delete: label 'pixels', embedding pixels/front; ")
