"""Goals in words: the text towers of CLIP and LIV."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vip_offline.encoders.checkpoints import load_strictly, misfits, read_state_dict, unwrap
from vip_offline.encoders.registry import ENCODERS, check_encoder, entry_of
from vip_offline.encoders.weight_files import fetch_weights
from vip_offline.errors import VipOfflineError

CONTEXT = 77  # tokens that the towers take, with their begin and end


def check_text(name: str) -> None:
    """Refuse a prompt for an encoder that reads none.

    Raises:
        VipOfflineError: naming those that do.
    """
    if entry_of(name).text is None:
        able = ", ".join(encoder for encoder, entry in ENCODERS.items() if entry.text is not None)
        raise VipOfflineError(
            f"Encoder {name} embeds pictures only; a text goal needs one of: {able}."
        )


def embed_text(name: str, prompt: str, weights: str = "") -> NDArray[np.float32]:
    """(D,) embedding of a prompt in the space of the encoder's pictures, not normalised.

    Args:
        name: of an encoder with a text tower.
        prompt: what the goal is, in words.
        weights: its checkpoint; by default the cache's, or the publisher's.

    Raises:
        VipOfflineError: if the encoder reads no text, its checkpoint holds no text tower, or the
            prompt is empty or longer than the tower takes.
    """
    check_text(name)
    check_encoder(name, weights)
    entry = entry_of(name)
    try:
        import open_clip
    except ImportError as error:
        raise VipOfflineError(
            f"Text goals need open_clip ({error}). pip install 'vip-offline[encoders]'"
        ) from error
    assert entry.text is not None
    assert entry.origin is not None
    tokenizer = open_clip.get_tokenizer(entry.text.model)
    # the tokenizer itself would cut off what is too long, in silence
    length = len(tokenizer.encode(prompt)) + 2
    if not prompt.strip() or length > CONTEXT:
        raise VipOfflineError(
            f"text:{prompt}: has {length} tokens; {name} takes 3 to {CONTEXT}. Say it in other "
            "words."
        )
    path = Path(weights) if weights else fetch_weights(name, entry.origin)
    model = open_clip.CLIP(**open_clip.get_model_config(entry.text.model))
    del model.visual
    state = unwrap(read_state_dict(path), entry.text.layout) or {}
    described = ("visual.", "input_resolution", "context_length", "vocab_size")
    state = {key: value for key, value in state.items() if not key.startswith(described)}
    wrong = misfits(model, state)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise VipOfflineError(f"{path}: has not the text tower of {name}: {wrong[0]}{more}.")
    load_strictly(model, state)
    with torch.inference_mode():
        embedding: NDArray[np.float32] = model.eval().encode_text(tokenizer([prompt]))[0].numpy()
    return embedding
