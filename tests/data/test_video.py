from pathlib import Path

import av
import numpy as np

from vip_offline.data.video import write_video


def test_an_mp4_that_others_decode(tmp_path: Path) -> None:
    levels = np.linspace(0, 240, 12).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (12, 64, 48, 3))
    path = tmp_path / "deep" / "video.mp4"
    write_video(path, np.ascontiguousarray(frames), 25)
    with av.open(str(path)) as container:
        decoded = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        assert container.streams.video[0].average_rate == 25
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).max() <= 4
    assert [each.name for each in path.parent.iterdir()] == ["video.mp4"]
