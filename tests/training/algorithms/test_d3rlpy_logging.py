import subprocess
import sys

import pytest

SAY = "import d3rlpy; from d3rlpy.logging import LOG; LOG.warning('built'); LOG.error('broken')"
QUIET = "from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy; quiet_d3rlpy(); "


@pytest.mark.slow
def test_only_errors_come_through() -> None:
    result = subprocess.run(
        [sys.executable, "-c", QUIET + SAY], capture_output=True, text=True, check=True
    )
    assert "broken" in result.stdout
    assert "built" not in result.stdout
    assert "Gym" not in result.stderr
