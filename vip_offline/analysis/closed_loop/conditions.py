"""What closed-loop numbers were computed by, and what that means for them."""

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"  # of results that were written before it was noted
CPUINFO = Path("/proc/cpuinfo")


def processor(cpuinfo: Path = CPUINFO) -> str:
    """The processor's model, as the system names it; where it does not, its architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or UNKNOWN


def joined_names(names: Iterable[str]) -> str:
    """Join distinct names in order; "unknown" if there is none."""
    return " and ".join(sorted({name or UNKNOWN for name in names})) or UNKNOWN


def conditions(backend: str, model: str, nuisance: str = "") -> str:
    """Describe hardware and pictures: rollouts differ between machines, be it by 1e-5 per action.

    Args:
        backend: of the policies, such as ``ONNX Runtime 1.20, cpu, fp32``.
        model: of the processor.
        nuisance: of the pictures, as `options.nuisance_text` says it; "": they were clean.
    """
    pictures = f"The simulator's pictures had {nuisance}. " if nuisance else ""
    return (
        f"{pictures}Computed by {backend} on {model}. Another backend or processor rounds "
        "otherwise, which can decide single rollouts."
    )


def rate_notes(manifests: Mapping[str, Mapping[str, Any]], rate: float) -> list[str]:
    """Name policies that act at another rate than that of their demonstrations.

    Args:
        manifests: policy -> its manifest.
        rate: of the simulator, in Hz.
    """
    policies: dict[float, list[str]] = {}
    for name, manifest in manifests.items():
        trained_rate = (manifest.get("interface") or {}).get("control_rate")
        if trained_rate and trained_rate != rate:
            policies.setdefault(float(trained_rate), []).append(name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: trained on "
        f"demonstrations at {trained_rate:g} Hz, but the simulator acts at {rate:g} Hz: each "
        f"action lasts {trained_rate / rate:.3g} times as long as it did there."
        for trained_rate, names in policies.items()
    ]
