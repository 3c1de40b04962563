"""The command line: one command per stage, in the order in which data flows.

Each parses, calls one function and prints. Its options are made from `vip_offline.options`. Heavy
imports live inside the commands, so that ``--help`` answers at once.
"""

# in the order of the help page
from vip_offline.cli import data, reward, success, policy, serve, run  # noqa: F401, I001
from vip_offline.training.algorithms.d3rlpy_logging import withdraw_gym_notice
from vip_offline.utils import program_end
from vip_offline.cli._app import app
from vip_offline.utils.cache_folder import set_matplotlib_cache

__all__ = ["app", "main"]


def main() -> None:
    """Run the program; see program_end.py for how it ends."""
    set_matplotlib_cache()
    withdraw_gym_notice()
    program_end.run(app)
