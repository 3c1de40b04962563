"""Files as people have them come in right, or are refused by name: one test per kind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from people_files import (
    HEADER,
    LENGTH,
    RATE,
    action,
    csv_lines,
    frames,
    greys,
    pictures,
    robot,
    table,
    video,
)
from PIL import Image

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import ImportResult, import_source, plan_import
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.validation.run import check
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def imported(path: Path, *key_map: str, **how: Any) -> tuple[Store, ImportResult]:
    options = ImportOptions(key_map=key_map, **how)
    source = open_source(path, "", options.rates, options.key_map)
    store = path.with_name("store.zarr")
    done = import_source(source, store, options)
    return open_store(store), done


def refused(path: Path, *key_map: str, **how: Any) -> str:
    with pytest.raises(VipOfflineError) as error:
        imported(path, *key_map, **how)
    assert not path.with_name("store.zarr").exists()
    return str(error.value)


BY_HAND = ("action=robot.ax,robot.ay", "proprio=robot.ax")


# --- order, orientation, depth of pictures -------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        lambda row: f"frame_{row}.png",
        lambda row: f"{9.6 + row / 10:.1f}.png",
        lambda row: f"{1700000000000000000 + row * 100_000_000}.png",
        lambda row: f"{row}.webp",
        lambda row: f"{row}.bmp",
        lambda row: f"{row}.tif",
        lambda row: f"{row}.ppm",
    ],
    ids=["counter", "stamps", "epoch", "webp", "bmp", "tif", "ppm"],
)
def test_pictures_in_the_order_in_which_they_were_taken(
    tmp_path: Path, name: Callable[[int], str]
) -> None:
    robot(tmp_path / "set/ep0")
    pictures(tmp_path / "set/ep0/front", name, **({"lossless": True} if "webp" in name(0) else {}))
    store, _ = imported(tmp_path / "set")
    assert greys(store.frames("front", 0, LENGTH)) == [*range(LENGTH)]
    np.testing.assert_array_equal(store.data("action"), action())


def test_pictures_are_upright(tmp_path: Path) -> None:
    robot(tmp_path / "set/ep0")
    folder = tmp_path / "set/ep0/front"
    folder.mkdir()
    for row, frame in enumerate(frames()):
        turned = Image.fromarray(np.ascontiguousarray(frame[::-1, ::-1]))
        exif = turned.getexif()
        exif[0x0112] = 3
        turned.save(folder / f"{row}.png", exif=exif)
    store, _ = imported(tmp_path / "set")
    np.testing.assert_array_equal(store.frames("front", 0, LENGTH), frames())


def test_16_bits_are_scaled_by_what_they_can_hold(tmp_path: Path) -> None:
    robot(tmp_path / "set/ep0")
    folder = tmp_path / "set/ep0/front"
    folder.mkdir()
    for row, frame in enumerate(frames()):
        Image.fromarray(frame[..., 0].astype(np.uint16) * 257).save(folder / f"{row}.png")
    store, done = imported(tmp_path / "set")
    assert greys(store.frames("front", 0, LENGTH)) == [*range(LENGTH)]
    assert any("16 bits" in note for note in done.notes)


def test_numbers_that_are_missing_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path / "set/ep0/front", lambda row: f"{row if row < 5 else row + 2}.png")
    _, done = imported(tmp_path / "set")
    assert (
        "camera front: the numbers of its pictures have gaps (1 in all), the first before 7.png"
        in done.notes
    )


# --- tables --------------------------------------------------------------------------------

LINES = csv_lines()
TABLES: dict[str, list[str]] = {
    "plain": LINES,
    "units": [HEADER, "s,m,m", *LINES[1:]],
    "semicolons": csv_lines(";"),
    "tabs": csv_lines("\t"),
    "decimal commas": [line.replace(".", ",") for line in csv_lines(";")],
    "trailing lines": [*LINES, "", ""],
    "ISO times": [
        HEADER,
        *(
            f"2026-01-01T00:00:0{i / RATE:.1f},{i / 100},{-i / 100}" if i < 100 else ""
            for i in range(LENGTH)
        ),
    ],
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_any_dialect(tmp_path: Path, kind: str) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    table(tmp_path / "set/ep0/robot.csv", TABLES[kind])
    store, _ = imported(tmp_path / "set", *BY_HAND)
    np.testing.assert_allclose(store.data("action"), action(), atol=1e-6)


def test_a_blank_cell_is_named(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    lines = [line.replace("0.05,", ",", 1) if line.startswith("0.5,") else line for line in LINES]
    table(tmp_path / "set/ep0/robot.csv", lines)
    assert "proprio[5, 0] is nan" in refused(tmp_path / "set", *BY_HAND)
    plan = plan_import(open_source(tmp_path / "set"), ImportOptions())
    assert any("ax" in note and "robot.csv" in note for note in plan.catalogue.notes)


def test_two_columns_of_one_name_are_both_there(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    table(tmp_path / "set/ep0/robot.csv", ["t,x,x", *LINES[1:]])
    catalogue = open_source(tmp_path / "set").catalogue()
    assert len([name for name in catalogue.columns if name.startswith("robot.x")]) == 2
    assert any("x" in note for note in catalogue.notes)


@pytest.mark.parametrize("column", ["image", "frame"])
def test_a_table_that_names_its_pictures_must_be_in_their_order(
    tmp_path: Path, column: str
) -> None:
    pictures(tmp_path / "set/ep0/front", lambda row: f"frame_{row}.png")
    names = [f"front/frame_{row}.png" for row in range(LENGTH)]
    cells = names if column == "image" else [str(row) for row in range(LENGTH)]
    lines = [f"{line},{cell}" for line, cell in zip(LINES, [column, *cells], strict=True)]
    table(tmp_path / "set/ep0/robot.csv", lines)
    imported(tmp_path / "set", *BY_HAND)
    shutil.rmtree(tmp_path / "store.zarr")
    table(tmp_path / "set/ep0/robot.csv", [lines[0], *sorted(lines[1:], key=lambda x: x[::-1])])
    assert "Sort the rows in the order of the pictures" in refused(tmp_path / "set", *BY_HAND)


# --- layouts and accounts ------------------------------------------------------------------


def test_pairs_are_episodes_with_their_actions(tmp_path: Path) -> None:
    for index in range(2):
        video(tmp_path / f"set/demo_{index}.mp4")
        table(tmp_path / f"set/demo_{index}.csv", LINES)
    store, _ = imported(tmp_path / "set", "action=a?")
    assert len(store) == 2
    np.testing.assert_allclose(store.data("action")[:LENGTH], action(), atol=1e-6)


def test_every_file_and_column_is_accounted_for(tmp_path: Path) -> None:
    for index in range(2):
        folder = tmp_path / f"set/ep{index}"
        robot(folder, camera_matrix=np.eye(3), note=np.array("x"), serial=np.array(7))
        video(folder / "front.mp4")
        pictures(folder / "front_depth", lambda row: f"{row}.png")
        (folder / "log.bag").write_bytes(b"#ROSBAG V2.0\n")
    video(tmp_path / "set/overview.mp4")
    store, done = imported(tmp_path / "set")
    for name in ("overview.mp4", "robot.camera_matrix", "log.bag", "front_depth", "serial"):
        assert any(name in key for key in done.left_out), name
    assert store.cameras == ["front"] and len(store) == 2
    findings = {group.kind: group for group in check(tmp_path / "set").groups}
    assert findings["left-out"].count == len(done.left_out)


def test_no_action_is_said_loudly(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    table(tmp_path / "set/ep0/robot.csv", LINES)
    _, done = imported(tmp_path / "set")
    assert any(role.startswith("NO ACTION") and "robot.ax" in role for role in done.missing)


def test_what_a_mac_leaves_is_no_frame_and_an_empty_one_is_named(tmp_path: Path) -> None:
    robot(tmp_path / "set/ep0")
    pictures(tmp_path / "set/ep0/front", lambda row: f"{row:03d}.png")
    (tmp_path / "set/ep0/front/._000.png").write_bytes(b"\0\5\x16\7Mac OS X")
    store, _ = imported(tmp_path / "set")
    assert store.rows == LENGTH
    robot(tmp_path / "bad/ep0")
    pictures(tmp_path / "bad/ep0/front", lambda row: f"{row:03d}.png")
    (tmp_path / "bad/ep0/front/000.png").write_bytes(b"")
    with pytest.raises(VipOfflineError, match=r"000\.png"):
        import_source(open_source(tmp_path / "bad"), tmp_path / "bad.zarr", ImportOptions())


def test_actions_without_one_for_the_last_frame(tmp_path: Path) -> None:
    folder = tmp_path / "set/ep0"
    video(folder / "front.mp4")
    np.savez(folder / "robot.npz", action=action()[:-1], qpos=action())
    store, done = imported(tmp_path / "set")
    assert np.isnan(store.data("action")[-1]).all()
    assert any("no row for the last frame" in note for note in done.notes)


def test_a_column_of_other_shape_or_type_in_one_episode(tmp_path: Path) -> None:
    for index, wide in enumerate((2, 2, 3)):
        folder = tmp_path / f"set/ep{index}"
        video(folder / "front.mp4")
        dtype = np.int64 if index == 0 else np.float64
        extra = (np.arange(LENGTH) + 0.5 * (index > 0)).astype(dtype)
        np.savez(folder / "robot.npz", action=np.zeros((LENGTH, wide), np.float32), extra=extra)
    assert "robot.action is numbers (3,), elsewhere numbers (2,)" in refused(tmp_path / "set")
    store, _ = imported(tmp_path / "set", skip_broken=True)
    assert store.extra("robot.extra")[LENGTH] == 0.5  # not cut to a whole number


# --- success -------------------------------------------------------------------------------


def told(tmp_path: Path, *key_map: str) -> tuple[list[bool], ImportResult]:
    store, done = imported(tmp_path / "set", *key_map)
    return [bool(value) for value in store.meta("success")], done


@pytest.mark.parametrize("answers", [(True, False), (1, 0), ("true", "False"), ("yes", "no")])
def test_success_said_once_in_an_episodes_file(tmp_path: Path, answers: tuple[Any, Any]) -> None:
    for index, answer in enumerate(answers):
        video(tmp_path / f"set/ep{index}/front.mp4")
        robot(tmp_path / f"set/ep{index}", success=np.array(answer))
    success, done = told(tmp_path)
    assert success == [True, False] and not done.unlabelled


@pytest.mark.parametrize("form", ["True/False", "1/0", "npz", "json", "yes/no"])
def test_success_said_per_row_or_beside(tmp_path: Path, form: str) -> None:
    for index, good in enumerate((True, False)):
        folder = tmp_path / f"set/ep{index}"
        video(folder / "front.mp4")
        if form == "npz":
            robot(folder, success=np.arange(LENGTH) >= (LENGTH - 1 if good else LENGTH))
        elif form == "json":
            robot(folder)
            (folder / "about.json").write_text(json.dumps({"success": good}))
        else:
            yes, no = form.split("/")
            rows = [yes if good and row == LENGTH - 1 else no for row in range(LENGTH)]
            lines = [f"{line},{end}" for line, end in zip(LINES, ["success", *rows], strict=True)]
            table(folder / "robot.csv", lines)
    success, done = told(tmp_path)
    assert success == [True, False] and not done.unlabelled


FORMS: dict[str, Callable[[Path, bool], Any]] = {
    "nested json": lambda folder, good: (folder / "meta.json").write_text(
        json.dumps({"info": {"success": good}, "seed": 3})
    ),
    "outcome": lambda folder, good: (folder / "meta.json").write_text(
        json.dumps({"outcome": "success" if good else "fail"})
    ),
    "failed": lambda folder, good: (folder / "meta.json").write_text(
        json.dumps({"failed": not good})
    ),
    "word": lambda folder, good: (folder / "success.txt").write_text("yes\n" if good else "no\n"),
    "digit": lambda folder, good: (folder / "success.txt").write_text("1" if good else "0"),
    "table of one row": lambda folder, good: (folder / "meta.csv").write_text(
        f"operator,success,seed\n7,{good},3\n"
    ),
    "one row": lambda folder, good: np.savez(folder / "meta.npz", success=np.array([good])),
}


@pytest.mark.parametrize("form", FORMS)
def test_success_said_in_a_file_beside(tmp_path: Path, form: str) -> None:
    for index, good in enumerate((True, False)):
        video(tmp_path / f"set/ep{index}/front.mp4")
        robot(tmp_path / f"set/ep{index}")
        FORMS[form](tmp_path / f"set/ep{index}", good)
    success, done = told(tmp_path)
    assert success == [True, False] and not done.unlabelled


def test_success_said_by_names_is_noted(tmp_path: Path) -> None:
    for name in ("success/ep0", "failed/ep0", "failed/ep1", "other/ep_2_fail"):
        video(tmp_path / "set" / name / "front.mp4")
        robot(tmp_path / "set" / name)
    success, done = told(tmp_path)
    assert success == [False, False, False, True]  # failed/, other/, success/
    assert any("success is taken from names" in note for note in done.notes)


def test_numbers_that_are_no_answer_cannot_be_success(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    table(tmp_path / "set/ep0/robot.csv", LINES)
    assert "row 1 holds 0.01, neither 0 nor 1" in refused(tmp_path / "set", "success=robot.ax")


def test_where_nobody_says_so_the_import_does(tmp_path: Path) -> None:
    from rich.console import Console

    from vip_offline.experiments.stages import import_stage
    from vip_offline.utils.console import bar

    for index in range(2):
        robot(tmp_path / f"set/ep{index}")
        video(tmp_path / f"set/ep{index}/front.mp4")
    source = open_source(tmp_path / "set")
    console = Console(quiet=True)
    line = import_stage(
        source,
        tmp_path / "store.zarr",
        ImportOptions(),
        lambda name, total, unit: bar(console, name, total, unit),
        lambda text: None,
    )
    assert "2 episodes, 24 rows, success not labelled: counted as successes" in line
    assert check(tmp_path / "store.zarr").successes is None


def test_what_a_killed_import_left_unhashed_is_hashed_with_a_bar(tmp_path: Path) -> None:
    from rich.console import Console

    from vip_offline.experiments.stages import import_stage
    from vip_offline.utils.console import bar

    robot(tmp_path / "set/ep0")
    video(tmp_path / "set/ep0/front.mp4")
    bars: list[tuple[str, int]] = []

    def noted(name: str, total: int, unit: str) -> Any:
        bars.append((name, total))
        return bar(Console(quiet=True), name, total, unit)

    store = tmp_path / "store.zarr"
    for _ in range(2):
        import_stage(open_source(tmp_path / "set"), store, ImportOptions(), noted, print)
    assert [name for name, _ in bars] == ["import", "import"]
    shutil.rmtree(store / "files")
    import_stage(open_source(tmp_path / "set"), store, ImportOptions(), noted, print)
    assert bars[2:] == [("check", 12), ("import", 0)]
    assert not open_store(store).touched("data/pts_front").any()


# --- time ----------------------------------------------------------------------------------


def two_rates(tmp_path: Path, rows: int, times: bool = True) -> Path:
    """30 frames at 10 Hz, rows at 50 Hz: the action is the frame's number, the state a time."""
    video(tmp_path / "set/ep0/front.mp4", length=30)
    second = np.arange(rows) / 50
    columns: dict[str, Any] = {
        "action": np.round(second * 10)[:, None],
        "qpos": second[:, None] ** 2,
    }
    if times:
        columns["timestamp"] = 1.7e9 + second
    np.savez(tmp_path / "set/ep0/robot.npz", **columns)
    return tmp_path / "set"


@pytest.mark.parametrize("times", [True, False])
def test_rows_of_another_rate_come_to_the_frames_times(tmp_path: Path, times: bool) -> None:
    path = two_rates(tmp_path, 146, times)
    store, done = imported(path, rates=() if times else ("robot=50",))
    seconds = np.arange(30) / 10
    np.testing.assert_array_equal(store.data("action")[:, 0], np.arange(30))
    np.testing.assert_allclose(store.data("proprio")[:, 0], seconds**2, atol=1e-6)
    assert any("robot (146 rows" in note for note in done.notes)
    resampled = store.attributes["resampled"]
    assert (resampled["robot.action"], resampled["robot.qpos"]) == ("nearest", "linear")
    assert store.attributes["control_rate"] == 10


def test_without_times_two_lengths_are_refused_with_a_way_out(tmp_path: Path) -> None:
    message = refused(two_rates(tmp_path, 146, times=False))
    assert "--rate robot=HZ" in message and "Trim" not in message


def test_trimmed_to_one_length_their_times_contradict(tmp_path: Path) -> None:
    path = two_rates(tmp_path, 30)
    message = refused(path)
    assert "contradict" in message and "0.580 s" in message and "2.900 s" in message
    assert any(group.kind == "unreadable" for group in check(path).groups)
    store, _ = imported(path, "time=")  # whoever knows that the column is wrong
    assert store.rows == 30


def test_two_cameras_of_two_rates(tmp_path: Path) -> None:
    robot(tmp_path / "set/ep0")
    video(tmp_path / "set/ep0/front.mp4")
    video(tmp_path / "set/ep0/wrist.mp4", rate=20, length=23)
    for copied in (False, True):
        store, _ = imported(tmp_path / "set", copy_frames=copied)
        assert greys(store.frames("front", 0, LENGTH)) == [*range(LENGTH)]
        assert store.frames("wrist", 0, LENGTH)[5, 40, 50, 0] == pytest.approx(20 + 180, abs=4)
        assert not check(store.path).wrong
        shutil.rmtree(store.path)


def test_a_rate_that_the_origin_contradicts(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    assert "says 10 Hz, --rate 50" in refused(tmp_path / "set", rates=("50",))


def test_a_video_of_a_wrong_rate_is_mended_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "set/ep0"
    video(folder / "front.mp4", rate=30)
    table(folder / "robot.csv", LINES)  # 10 Hz
    assert "contradict" in refused(tmp_path / "set", *BY_HAND)
    store, _ = imported(tmp_path / "set", *BY_HAND, rates=("front=10",))
    assert store.attributes["control_rate"] == 10
    np.testing.assert_allclose(store.data("action"), action(), atol=1e-6)


# --- key maps ------------------------------------------------------------------------------


def test_columns_by_pattern_and_by_file(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    table(tmp_path / "set/ep0/robot.csv", LINES)
    plan = plan_import(
        open_source(tmp_path / "set"), ImportOptions(key_map=("action=robot.a*", "proprio=robot."))
    )
    assert plan.keys.action == ("robot.ax", "robot.ay")
    assert plan.keys.proprio == ("robot.ax", "robot.ay", "robot.timestamp")
    message = refused(tmp_path / "set", "success=robot.*")
    assert "names 3 columns" in message
    assert "has no column 'robot.b*'" in refused(tmp_path / "set", "action=robot.b*")


def test_a_column_that_was_left_out_is_refused_with_its_reason(tmp_path: Path) -> None:
    video(tmp_path / "set/ep0/front.mp4")
    robot(tmp_path / "set/ep0", camera_matrix=np.eye(3))
    message = refused(tmp_path / "set", "action=robot.camera_matrix")
    assert "cannot be action" in message and "(3, 3)" in message


def test_the_plan_of_a_dry_run_is_the_imports(tmp_path: Path) -> None:
    for index in range(2):
        robot(tmp_path / f"set/ep{index}")
        video(tmp_path / f"set/ep{index}/front.mp4", length=LENGTH - index)
    plan = plan_import(open_source(tmp_path / "set"), ImportOptions())
    assert plan.refusal == refused(tmp_path / "set")
    plan = plan_import(open_source(tmp_path / "set"), ImportOptions(skip_broken=True))
    assert not plan.refusal
    store, done = imported(tmp_path / "set", skip_broken=True)
    assert len(store) == 1 and done.broken == tuple(plan.catalogue.broken.values())
