"""Which options `record` has with the simulator, and which with a robot's client."""

from collections.abc import Collection

from vip_offline.errors import VipOfflineError
from vip_offline.options.data import RecordOptions
from vip_offline.options.part import Part
from vip_offline.options.serve import ServeOptions

# a server that records gives no actions; between two episodes a person puts things back
RECORDING = Part(
    without=("timeout", "hold", "stop_above", "key_map", "log", "unsealed"),
    defaults={"port": 8001, "idle": 3600.0},
)
# options of `record` that mean something with a client, or with the simulator, alone
FROM_CLIENT = ("control_rate", "describe", *RECORDING.fields(ServeOptions))
FROM_SIMULATOR = Part(without=("task", "max_steps")).fields(RecordOptions)


def check_belonging(given: Collection[str], from_client: bool) -> None:
    """Refuse options of the other kind of recording.

    Args:
        given: names of the options on the command line.
        from_client: whether a robot's client is recorded.

    Raises:
        VipOfflineError: naming the first of them.
    """
    for name in FROM_SIMULATOR if from_client else FROM_CLIENT:
        if name in given:
            why = "belongs to the simulator" if from_client else "needs --from-client"
            raise VipOfflineError(f"--{name.replace('_', '-')}: {why}. Leave one of them out.")
