"""A pickle that gives itself away where it is read."""

import os
from pathlib import Path
from typing import Any


class Trap:
    """A pickle that leaves a file where it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self._path),))
