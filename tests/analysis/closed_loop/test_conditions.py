from pathlib import Path
from typing import Any

from vip_offline.analysis.closed_loop.conditions import (
    UNKNOWN,
    conditions,
    joined_names,
    processor,
    rate_notes,
)


def test_the_processor_is_named_by_its_model(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: fpu\n")
    assert processor(cpuinfo) == "Some CPU @ 2 GHz"
    cpuinfo.write_text("processor\t: 0\nmodel name\t:\n")
    assert processor(cpuinfo) == processor(tmp_path / "absent") != ""


def test_several_are_named_once_each() -> None:
    assert joined_names(["b", "a", "b"]) == "a and b"
    assert joined_names(["", "a"]) == "a and unknown"
    assert joined_names([]) == UNKNOWN


def test_numbers_name_what_computed_them() -> None:
    assert conditions("torch", "a CPU").startswith("Computed by torch on a CPU. Another")
    with_nuisance = conditions("torch", "a CPU", "nuisance light at level 1")
    assert with_nuisance.startswith(
        "The simulator's pictures had nuisance light at level 1. Computed by torch"
    )


def test_another_rate_is_said_with_both() -> None:
    manifests: dict[str, dict[str, Any]] = {
        "a": {"interface": {"control_rate": 20.0}},
        "b": {"interface": {"control_rate": 80.0}},
        "c": {"interface": {"control_rate": 20}},
        "unknown": {"interface": {"control_rate": None}},
        "old": {},
    }
    (note,) = rate_notes(manifests, 80.0)
    assert note.startswith("a and 1 more: trained on demonstrations at 20 Hz, but the simulator")
    assert "acts at 80 Hz: each action lasts 0.25 times as long" in note
