from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from vip_offline.encoders.text import check_text, embed_text
from vip_offline.errors import VipOfflineError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LIV's file as it is published: the whole of CLIP RN50, here with random weights."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config("RN50-quickgelu"))
    path = tmp_path_factory.mktemp("liv") / "model.pt"
    state = {f"module.model.{key}": value.half() for key, value in model.state_dict().items()}
    torch.save({"liv": state}, path)
    return path


@pytest.mark.slow
def test_a_prompt_is_embedded_as_open_clip_does(checkpoint: Path) -> None:
    prompt = "close the drawer, gently"
    embedding = embed_text("liv", prompt, str(checkpoint))
    model = open_clip.CLIP(**open_clip.get_model_config("RN50-quickgelu")).eval()
    state = torch.load(checkpoint, weights_only=True)["liv"]
    model.load_state_dict({k.removeprefix("module.model."): v for k, v in state.items()})
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("RN50")([prompt]))[0]
    assert embedding.shape == (1024,)
    np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-5)
    other = embed_text("liv", "open the window", str(checkpoint))
    assert np.abs(other - embedding).max() > 1e-3


@pytest.mark.parametrize("prompt", ["", "  ", "drawer " * 80])
def test_prompts_that_the_tower_would_cut(checkpoint: Path, prompt: str) -> None:
    with pytest.raises(VipOfflineError, match="tokens; liv takes 3 to 77"):
        embed_text("liv", prompt, str(checkpoint))


@pytest.mark.slow
def test_a_file_without_the_text_tower(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)["liv"]
    visual = {key: value for key, value in state.items() if ".visual." in key}
    torch.save({"liv": visual}, tmp_path / "visual.pt")
    with pytest.raises(VipOfflineError, match=r"has not the text tower of liv: .* is missing, and"):
        embed_text("liv", "close the drawer", str(tmp_path / "visual.pt"))


def test_encoders_that_read_no_words() -> None:
    with pytest.raises(VipOfflineError, match=r"vip embeds pictures only.*clip-rn50"):
        check_text("vip")
    check_text("liv")
