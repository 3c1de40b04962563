"""The order of rooms is held by import-linter, see pyproject.toml; here is what it cannot see."""

import subprocess
import sys

HEAVY = {"torch", "d3rlpy", "zarr", "matplotlib", "pyarrow", "numpy", "av", "mujoco", "sklearn"}


def test_the_command_line_begins_without_libraries() -> None:
    code = "import sys, vip_offline.cli; print(*{name.split('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {*ended.stdout.split()}
