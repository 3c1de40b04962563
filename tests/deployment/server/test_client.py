import socket
import subprocess
import sys

import numpy as np
import pytest
from made_up_serving import observation, serving

from vip_offline.deployment.server.client import Client
from vip_offline.errors import VipOfflineError

pytestmark = pytest.mark.timeout(60)


def test_it_asks_and_is_answered() -> None:
    with serving() as server, Client(port=server.port) as client:
        assert client.get_server_metadata()["policy"] == "obedient"
        client.reset()
        reply = client.infer(observation(0.5, 0.25))
        assert reply["actions"].tolist() == [[0.5, 0.25]]
        assert "prev_total_ms" not in reply["server_timing"]
        assert client.infer(observation(0.5))["server_timing"]["prev_total_ms"] > 0
        with pytest.raises(VipOfflineError, match=r"observation: proprio has shape \(3,\)"):
            client.infer(observation() | {"proprio": np.zeros(3)})
        with pytest.raises(VipOfflineError, match="is closed"):
            client.infer(observation())


def test_a_whole_address() -> None:
    with serving() as server, Client(f"ws://127.0.0.1:{server.port}") as client:
        client.infer(observation())


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(VipOfflineError, match=f"ws://127.0.0.1:{port}: cannot connect"):
        Client(port=port)


def test_it_does_not_wait_forever() -> None:
    with serving(timeout=5) as server, Client(port=server.port, timeout=0.3) as client:
        with pytest.raises(VipOfflineError, match=r"no answer for 0\.3 s"):
            client.infer(observation(seconds=1))
        # the late answer is not taken for that of the next question
        with pytest.raises(VipOfflineError, match="is closed"):
            client.infer(observation())


def test_a_robot_needs_no_torch() -> None:
    code = (
        "import sys, vip_offline.deployment.server.client\n"
        "heavy = {'torch', 'd3rlpy', 'zarr', 'matplotlib', 'mujoco', 'sklearn', 'av', 'rich'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
