from typing import Any

import numpy as np
import pytest

from vip_offline.dataset.importers.base.success import truth
from vip_offline.errors import VipOfflineError


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, True),
        (np.bool_(False), False),
        (np.array([1]), True),
        (np.array(0.0), False),
        (-1, False),
        ("True", True),
        (b"failure", False),
        (np.array("yes"), True),
        ("", None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_forms_that_are_written(value: Any, meant: bool | None) -> None:
    assert truth(value, "set") is meant


@pytest.mark.parametrize("value", ["perhaps", np.array([1, 0]), [True]])
def test_what_is_neither(value: Any) -> None:
    with pytest.raises(VipOfflineError, match=r"^set, demo_1: success is .* neither true nor"):
        truth(value, "set, demo_1: success")
