"""Draw a video to try `vip-offline look` on: ``python recipes/example_clip.py my-video.mp4``.

It is a drawing, no recording: a gripper comes from above to a red block on a table, pushes it
toward a green mark, loses a part of the way when the block slips back, and pushes it onto the
mark. Ten seconds as a phone would take them: 1080p, 30 frames per second, H.264 with a key
frame every second, noise of a sensor, a hand that shakes. It needs numpy, pillow and av.
"""

import argparse
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT, RATE, SECONDS = 1920, 1080, 30, 10.0  # px, frames per second
FLOOR = 800  # px from the top, where block and mark stand
BLOCK = 230  # px
MARGIN = 32  # px around a frame, for the hand that shakes
# time in seconds -> left edge of the block, and of the gripper's tip relative to it and its height
TIMES = (0.0, 0.5, 1.8, 4.2, 4.8, 5.4, 8.8, 10.0)
BLOCK_AT = (480, 480, 480, 960, 800, 800, 1330, 1330)
GRIPPER_BEHIND = (130, 130, 40, 40, 120, 40, 40, 40)
GRIPPER_UP = (300, 300, 40, 40, 40, 40, 40, 40)


def background(generator: np.random.Generator) -> Image.Image:
    """A wall, a table and the mark."""
    wide, high = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    small = generator.integers(0, 12, (5, 9, 3), np.uint8)
    wall = np.asarray(Image.fromarray(small).resize((wide, high), Image.Resampling.BICUBIC))
    scene = Image.fromarray((wall + np.array([176, 180, 184])).astype(np.uint8))
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, FLOOR - 120, wide, high), fill=(150, 116, 82))
    for line in range(FLOOR - 120, high, 34):
        draw.line((0, line, wide, line + 6), fill=(140, 107, 75), width=3)
    draw.ellipse((1270, FLOOR - 30, 1630, FLOOR + 60), fill=(48, 148, 84))
    return scene.filter(ImageFilter.GaussianBlur(1.5))


def draw_frame(scene: Image.Image, seconds: float) -> Image.Image:
    """The scene at a time, with block and gripper."""
    left = float(np.interp(seconds, TIMES, BLOCK_AT))
    tip = left - float(np.interp(seconds, TIMES, GRIPPER_BEHIND))
    low = FLOOR - float(np.interp(seconds, TIMES, GRIPPER_UP))
    frame = scene.copy()
    draw = ImageDraw.Draw(frame)
    draw.ellipse((left - 8, FLOOR - 8, left + BLOCK + 40, FLOOR + 30), fill=(110, 84, 60))
    draw.rectangle((left, FLOOR - BLOCK, left + BLOCK, FLOOR + 8), fill=(196, 52, 44))
    draw.rectangle((left, FLOOR - BLOCK, left + BLOCK, FLOOR - BLOCK + 26), fill=(222, 92, 80))
    draw.rectangle((tip - 90, 0, tip, low - 200), fill=(72, 76, 84))
    draw.rectangle((tip - 120, low - 260, tip + 20, low - 130), fill=(48, 50, 56))
    draw.rectangle((tip - 30, low - 150, tip + 40, low), fill=(232, 232, 228))
    return frame


def write_clip(path: Path, seconds: float = SECONDS) -> None:
    """Write the video; it is the same each time."""
    generator = np.random.default_rng(0)
    scene = background(generator)
    noise = generator.integers(0, 10, (HEIGHT + 64, WIDTH + 64, 1), np.uint8)
    shake = np.cumsum(generator.normal(0, 0.4, (round(SECONDS * RATE), 2)), axis=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "22", "g": str(RATE)}
        for index in range(round(seconds * RATE)):
            drawn = np.asarray(draw_frame(scene, index / RATE))
            top, left = MARGIN + shake[index].round().astype(int).clip(-MARGIN, MARGIN)
            moved = drawn[top : top + HEIGHT, left : left + WIDTH]
            down, right = generator.integers(0, 64, 2)
            grain = noise[down : down + HEIGHT, right : right + WIDTH]
            picture = moved + grain  # no colour is above 245
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("my-video.mp4"))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of it that are drawn")
    given = parser.parse_args()
    write_clip(given.out, given.seconds)
