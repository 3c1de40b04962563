"""Export as a user meets it."""

import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM
from counted import Counted
from store_files import contents

from vip_offline.errors import VipOfflineError
from vip_offline.experiments import export_data
from vip_offline.experiments.export_data import EXPORT_FORMATS, export, export_stage
from vip_offline.utils.console import Bar


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("format_", "there"),
    [
        ("robomimic", ""),
        ("d3rlpy", ""),
        ("zarr", "meta/episode_ends/.zarray"),
        ("minari", "data/main_data.hdf5"),
    ],
)
def test_each_format_is_written_and_the_store_stays_as_it_is(
    labelled: Path, tmp_path: Path, format_: str, there: str
) -> None:
    before, counted = contents(labelled), Counted()
    out = tmp_path / "new" / "out"
    done = export(labelled, out, format_, advance=counted)
    assert (done.episodes, counted.totals, counted.done) == (3, [3], 3)
    assert (out / there).is_file()
    assert names(out.parent) == {"out", "out.made-from.json"}
    assert contents(labelled) == before


@pytest.mark.parametrize("format_", ["robomimic", "d3rlpy", "zarr", "minari"])
def test_each_format_is_written_to_a_relative_path(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path("out"), Path("new/out")):
        assert export(labelled, out, format_).episodes == 3
        assert (tmp_path / out).exists()


def test_each_format_refuses_what_is_there(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for format_ in EXPORT_FORMATS:
        with pytest.raises(VipOfflineError, match="is there already"):
            export(labelled, tmp_path / "out", format_)
        assert (tmp_path / "out").read_text() == "mine"


def test_what_cannot_be_exported_leaves_nothing(labelled: Path, tmp_path: Path) -> None:
    there = names(tmp_path)
    for format_ in ("lerobot-progress", "lerobot"):
        with pytest.raises(VipOfflineError, match="was not imported from LeRobot"):
            export(labelled, tmp_path / "out", format_)
        assert names(tmp_path) == there


def test_an_interrupt_leaves_nothing(labelled: Path, tmp_path: Path) -> None:
    there = names(tmp_path)

    def stop(amount: int = 0, total: int | None = None) -> None:
        if amount:
            raise KeyboardInterrupt

    for format_ in ("robomimic", "d3rlpy", "zarr", "minari"):
        with pytest.raises(KeyboardInterrupt):
            export(labelled, tmp_path / "out", format_, advance=stop)
        assert names(tmp_path) == there


def test_an_unknown_format_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"--to robomimik: no such format. Did you mean"):
        export(tmp_path / "none", tmp_path / "out", "robomimik")


def test_every_format_has_a_writer() -> None:
    names = [export_data._writer(each).__name__ for each in EXPORT_FORMATS]
    assert len({*names}) == len(EXPORT_FORMATS)


def test_the_stage_says_what_was_done(labelled: Path, tmp_path: Path, quiet_bar: Bar) -> None:
    said: list[str] = []
    out = tmp_path / "out.hdf5"
    last = export_stage(labelled, out, "robomimic", "", quiet_bar, said.append)
    assert last == f"export: 3 episodes, 18 rows -> {out}"
    assert any(each.startswith("note: rewards are 0 in the last row") for each in said)


@pytest.fixture
def quiet_bar() -> Bar:
    from rich.console import Console

    from vip_offline.utils.console import bar

    return lambda description, total, unit: bar(Console(), description, total, unit)


@pytest.mark.slow
def test_the_command(labelled: Path, tmp_path: Path) -> None:
    done = run("export", str(labelled), "out.hdf5", "--to", "robomimic", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "export: 3 episodes, 18 rows -> out.hdf5" in done.stdout
    again = run("export", str(labelled), "out.hdf5", "--to", "robomimic", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr.startswith("error: out.hdf5: is there already")


def test_the_command_takes_the_only_store(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    labelled.rename(tmp_path / "datasets" / labelled.name)
    done = run("export", "out", "--to", "zarr", "--label", "pixels", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/meta/episode_ends").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demos.zarr", "out", "--to", "zarr"], "no labels yet. Run `vip-offline relabel"),
        (["nowhere.zarr", "out", "--to", "zarr"], "nowhere.zarr: there is no such store"),
        (["demos.zarr", "out", "more", "--to", "zarr"], "3 paths given; expected [STORE] OUT"),
        (["demos.zarr", "out", "--to", "csv"], "--to csv: no such format"),
    ],
)
def test_what_a_user_can_put_right(
    store_path: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run("export", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == {store_path.name}
