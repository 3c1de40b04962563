"""Draw the figure of the README.

    vip-offline record datasets/figure.zarr --episodes 6 --failures 2 --image-size 256
    vip-offline relabel datasets/figure.zarr
    python docs/figure.py datasets/figure.zarr docs/figure.png

Frames of one success, its distance to the goal below them, beside that of a failure, and success
rates of a comparison with their 95 % CI at the right.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vip_offline import open_store
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store
from vip_offline.report.figures.colors import BLUE, GREY, OUTCOMES, VERMILION

RESULTS = Path(__file__).parents[1] / "recipes/results/outcome-drawer-close.json"
FRAMES = 5
ARMS = {
    "bc": ("behaviour cloning", GREY),
    "rwr-outcome": ("visual reward", BLUE),
    "rwr-outcome-permuted": ("shuffled weights\n(control)", VERMILION),
    "rwr-outcome-length": ("episode length\n(control)", VERMILION),
}
FONT = 11  # pt


def draw_distance(ax: Axes, store: Store, label: Label) -> None:
    """Distance to the goal of the first success and the first failure, over time."""
    for succeeds, look in OUTCOMES.items():
        episode = int(np.flatnonzero(store.meta("success") == succeeds)[0])
        start, stop = store.spans()[episode]
        seconds = np.arange(stop - start) / float(store.attributes["control_rate"])
        (line,) = ax.plot(seconds, label.distance[start:stop], lw=2, label=look.name)
        line.set(color=look.color, ls=look.dashes)
    ax.set_xlabel("time [s]", fontsize=FONT)
    ax.set_ylabel("distance to the goal\n[embedding units]", fontsize=FONT)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=FONT)


def draw_success(ax: Axes, results: Path) -> None:
    """Success rates of `ARMS` with their intervals."""
    compared = json.loads(results.read_text())
    found = {arm["name"]: arm["success"] for arm in compared["arms"]}
    for row, (name, (text, color)) in enumerate(ARMS.items()):
        mean, low, high = (100 * found[name][key] for key in ("mean", "low", "high"))
        error = [[max(mean - low, 0)], [max(high - mean, 0)]]
        ax.barh(row, mean, 0.6, color=color, alpha=0.8)
        ax.errorbar(mean, row, xerr=error, color="black", capsize=3)
        ax.text(2, row - 0.42, text.replace("\n", " "), va="bottom", fontsize=FONT)
    ax.set_yticks([])
    ax.set_ylim(len(ARMS) - 0.5, -0.75)
    ax.set_xlim(0, 105)
    seeds, placements = len(compared["seeds"]), len(compared["placements"])
    ax.set_xlabel(
        f"success [%], 95 % CI\n{seeds} seeds x {placements} placements, drawer-close",
        fontsize=FONT,
    )


def draw(path: Path, results: Path) -> Figure:
    """The whole figure.

    Args:
        path: a store with one labelling and one camera.
        results: `comparison.json` of a comparison.
    """
    store = open_store(path)
    label = store.label()
    (camera,) = store.cameras
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    ((left, right),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.7, 1))
    grid = left.add_gridspec(2, FRAMES, height_ratios=(1, 1.25))
    start, stop = store.spans()[int(np.flatnonzero(store.meta("success"))[0])]
    for column, row in enumerate(np.linspace(start, stop - 1, FRAMES).round().astype(int)):
        ax = left.add_subplot(grid[0, column])
        ax.imshow(store.frames(camera, row, row + 1)[0])
        ax.set_axis_off()
        seconds = (row - start) / float(store.attributes["control_rate"])
        ax.set_title(f"{seconds:.1f} s", fontsize=FONT)
    curve, bars = left.add_subplot(grid[1, :]), right.subplots()
    draw_distance(curve, store, label)
    draw_success(bars, results)
    for ax in (curve, bars):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=10)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the figure of the README.")
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path, help="a PNG")
    parser.add_argument("--comparison", type=Path, default=RESULTS, help="comparison.json")
    options = parser.parse_args()
    draw(options.store, options.comparison).savefig(options.out, dpi=110)
