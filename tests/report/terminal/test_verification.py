import io

from vip_offline.policies.verify import BackendResult
from vip_offline.report.terminal.verification import verification_table
from vip_offline.utils.console import Console


def test_a_row_per_backend() -> None:
    console = Console(file=io.StringIO(), width=80)
    rows = [BackendResult("ONNX Runtime", 2e-6, 3e-7, 10.0), BackendResult("torch", 0.5, 0.2, 80.0)]
    console.print(verification_table(rows, 25.0))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    _, onnx, torch = text.splitlines()
    assert "2e-06" in onnx
    assert "25%" in onnx
    assert "the same" in onnx
    assert "200%" in torch
    assert "OTHER ACTIONS" in torch
    assert max(map(len, text.splitlines())) <= 80
    console.print(verification_table(rows, None))
