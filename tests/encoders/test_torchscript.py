"""The tensors are those of `torch.jit.load`; nothing of the archive runs."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from vip_offline.encoders.checkpoints import read_state_dict
from vip_offline.encoders.torchscript import state_of_archive
from vip_offline.errors import VipOfflineError

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning"
)


class Several(nn.Module):
    """Parameters, buffers and neither; a part that is shared, a tensor that is a view."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.ones(3)
        self.sizes = [1, 2]
        self.register_buffer("counts", torch.arange(4))
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)
        self.weight = nn.Parameter(torch.arange(12.0).view(3, 4).T)
        self.part = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False), nn.BatchNorm2d(1))
        self.again = self.part
        self.empty = nn.Parameter(torch.zeros(0, 2))

    def forward(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.again(self.part(x))
        return embedding + self.weight.sum() + self.plain.sum() + self.sizes[0]


class Writes(nn.Module):
    """Writes a file when `torch.jit.load` brings it back."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.ones(2)
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        torch.save(state[0], "written")
        self.weight = state[0]
        self.training = state[1]


def jit(module: nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module), str(path))
    return path


def by_torch(path: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())  # type: ignore[no-untyped-call]


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with other content, and right checksums."""
    to = path.with_name("other.pt")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w") as other:
        for name in archive.namelist():
            other.writestr(name, change(name, archive.read(name)))
    return to


@pytest.mark.parametrize(
    "make",
    [
        Several,
        lambda: Several().half(),
        lambda: torchvision.models.resnet18(),
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.LSTM(3, 4, 2),
    ],
)
def test_the_state_is_that_of_torch(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    path = jit(make(), tmp_path / "scripted.pt")
    expected, state = by_torch(path), state_of_archive(path)
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        torch.testing.assert_close(state[name], value.detach(), rtol=0, atol=0)


def test_a_traced_one(tmp_path: Path) -> None:
    path = tmp_path / "traced.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Several(), torch.zeros(1, 1, 9, 9))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, str(path))
    assert list(read_state_dict(path)) == list(by_torch(path))


def test_an_archive_that_writes_a_file_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stranger.pt"
    module = torch.jit.script(Writes())
    torch.jit.save(module, str(path))
    by_torch(path)
    assert (tmp_path / "written").exists()  # so that this test can fail
    (tmp_path / "written").unlink()
    with pytest.raises(VipOfflineError, match="Writes keeps its state in a way of its own"):
        read_state_dict(path)
    assert not (tmp_path / "written").exists()


def test_a_pickle_that_calls_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = jit(Several(), tmp_path / "scripted.pt")
    call = b"cos\nsystem\nX\x0d\x00\x00\x00touch touched\x85R."
    other = rewritten(path, lambda name, data: call if name.endswith("/data.pkl") else data)
    with pytest.raises(VipOfflineError, match=r"other\.pt: holds os\.system, which is no tensor"):
        read_state_dict(other)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"K\x0c", b"K\xff", "states more than storage"),  # twelve elements
        (b"(K\x04K\x01t", b"(J\xff\xff\xff\xffK\x01t", "states more than storage"),
        (b"q\x01", b"r\xff\xff\xff\x7f", "place 2147483647 of the memo"),
    ],
)
def test_sizes_that_the_file_does_not_hold(
    old: bytes, new: bytes, match: str, tmp_path: Path
) -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.arange(48.0).view(12, 4))
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.script(module), str(path))

    def changed(name: str, data: bytes) -> bytes:
        if not name.endswith("/data.pkl"):
            return data
        assert old in data
        return data.replace(old, new)

    with pytest.raises(VipOfflineError, match=match):
        read_state_dict(rewritten(path, changed))


def test_modules_that_hold_each_other(tmp_path: Path) -> None:
    path = jit(nn.Sequential(nn.Identity()), tmp_path / "a.pt")

    def circular(name: str, data: bytes) -> bytes:
        if not name.endswith("/data.pkl"):
            return data
        # the root, noted before it is built, in place of what it holds
        part = data.index(b"c__torch__.torch.nn.modules.linear")
        end = data.index(b"b", data.index(b"N", part))
        return data.replace(b")\x81", b")\x81q\x63", 1).replace(data[part : end + 1], b"h\x63")

    with pytest.raises(VipOfflineError, match="hold each other without end"):
        read_state_dict(rewritten(path, circular))
