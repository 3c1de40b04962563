"""Side processes that take gradient steps for trainings of this one."""

import contextlib
import os
import shutil
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from vip_offline.errors import VipOfflineError
from vip_offline.training.networks.descent import Columns, Settings, State
from vip_offline.training.worker_steps import Shelf, advance_there, start_side
from vip_offline.utils.files import only_writer
from vip_offline.utils.parallel import SidePool


class Crew:
    """Processes of one thread each, which start when the first steps are asked for."""

    def __init__(self, processes: int, under: Path) -> None:
        """Make the crew.

        Args:
            processes: how many.
            under: where it may keep a hidden folder of columns while it is there.
        """
        under.mkdir(parents=True, exist_ok=True)
        for left in under.glob(".columns-*.partial"):  # by a crew that was killed
            with contextlib.suppress(VipOfflineError, OSError), only_writer(left):
                shutil.rmtree(left)
        self._stack = ExitStack()
        folder = under / f".columns-{os.getpid()}.partial"
        folder.mkdir()
        self._stack.enter_context(only_writer(folder))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._shelf = Shelf(folder)
        self._pool = self._stack.enter_context(SidePool(processes, start_side))

    def advance(
        self, state: State, columns: Columns, settings: Settings, steps: int
    ) -> Future[tuple[State, float]]:
        """`descent.advance`, over there."""
        there = self._shelf.put(columns)
        return self._pool.submit(advance_there, state, there, settings, steps)

    def gone(self) -> VipOfflineError:
        """What to say when one of the processes is gone."""
        return self._pool.gone()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
