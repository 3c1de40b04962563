"""Draw a small data set as an arm with two cameras leaves it, to try the tutorial on.

    python recipes/example_arm.py demos     # -> demos/{success,failed}/*/, goal.png

An arm seen from above pushes a drawer shut: 8 episodes succeed, 4 stop too early. Each episode is a
folder with ``front.mp4`` and ``wrist.mp4`` (10 frames/s) and ``robot.csv`` (50 rows/s):

    time [s]; x, y [m]: position of the gripper; grip: 0 closed, 1 open;
    cmd_x, cmd_y [m/s]; cmd_grip: 0 close, 1 open

``goal.png``, beside the folder, is a photo of the closed drawer by the front camera. Everything is
drawn: the pictures show what a tutorial needs, and say nothing of real arms.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vip_offline.dataset.media.video import write_video

Frames = NDArray[np.uint8]
ROW_RATE, FRAME_RATE = 50, 10  # Hz
SECONDS = 3
SUCCESSES, FAILURES = 8, 4
WIDTH, HEIGHT = 160, 120  # px, front camera
WRIST = 64  # px
PIXELS_PER_METRE = 200
OPEN, CLOSED = 0.35, 0.15  # m, x of the drawer's front
HEADER = ("time", "x", "y", "grip", "cmd_x", "cmd_y", "cmd_grip")


def draw(x: float, y: float, drawer: float, light: int) -> Image.Image:
    """The table from above.

    Args:
        x: position of the gripper in metres, 0 at the left.
        y: position of the gripper in metres, 0 at the top.
        drawer: x of the drawer's front in metres.
        light: brightness of the table.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT), (light, light - 20, light - 50))
    canvas = ImageDraw.Draw(image)
    front, hand = drawer * PIXELS_PER_METRE, (x * PIXELS_PER_METRE, y * PIXELS_PER_METRE)
    canvas.rectangle((8, 35, front, 85), fill=(60, 90, 170))  # drawer
    canvas.rectangle((front - 3, 50, front, 70), fill=(230, 200, 60))  # handle
    canvas.rectangle((0, 25, CLOSED * PIXELS_PER_METRE, 95), fill=(110, 110, 115))  # cabinet
    canvas.line((WIDTH, HEIGHT, *hand), fill=(40, 40, 40), width=6)  # arm
    canvas.ellipse((hand[0] - 7, hand[1] - 7, hand[0] + 7, hand[1] + 7), fill=(200, 50, 40))
    return image


def from_wrist(image: Image.Image, x: float, y: float) -> Image.Image:
    """What lies around the gripper."""
    left, top = x * PIXELS_PER_METRE - WRIST / 2, y * PIXELS_PER_METRE - WRIST / 2
    return image.crop((round(left), round(top), round(left) + WRIST, round(top) + WRIST))


def write_episode(folder: Path, success: bool, generator: np.random.Generator) -> None:
    """Drive the arm, and write what the cameras and the robot's log hold."""
    folder.mkdir(parents=True)
    x, y = generator.uniform(0.55, 0.7), generator.uniform(0.15, 0.45)
    grip, drawer, light = 1.0, OPEN, int(generator.integers(150, 180))
    stop = CLOSED if success else generator.uniform(0.3, 0.5)
    front, wrist, rows = [], [], []
    for step in range(SECONDS * ROW_RATE):
        in_front = abs(y - 0.3) < 0.02 or x < drawer + 0.1
        aim = np.array([max(stop, CLOSED) + 0.035 if in_front else x, 0.3])
        close = 0.0 if in_front else 1.0  # it pushes with closed fingers
        command = np.clip(2 * (aim - [x, y]), -0.2, 0.2) + generator.normal(0, 0.005, 2)
        rows.append((step / ROW_RATE, x, y, grip, *command, close))
        if step % (ROW_RATE // FRAME_RATE) == 0:
            image = draw(x, y, drawer, light)
            front.append(np.asarray(image))
            wrist.append(np.asarray(from_wrist(image, x, y)))
        x, y = x + command[0] / ROW_RATE, y + command[1] / ROW_RATE
        grip += (close - grip) / 5
        drawer = max(CLOSED, min(drawer, x - 0.035))
    write_video(folder / "front.mp4", np.stack(front), FRAME_RATE)
    write_video(folder / "wrist.mp4", np.stack(wrist), FRAME_RATE)
    with (folder / "robot.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        table.writerows([f"{value:.4f}" for value in row] for row in rows)


def main(folder: Path) -> None:
    """Write the data set and the photo beside it."""
    if folder.exists():
        raise SystemExit(f"{folder}: exists. Name another folder, or remove it.")
    generator = np.random.default_rng(0)
    for episode in range(SUCCESSES + FAILURES):
        success = episode < SUCCESSES
        name = f"{'success' if success else 'failed'}/ep_{episode:02d}"
        write_episode(folder / name, success, generator)
    draw(CLOSED + 0.04, 0.3, CLOSED, 165).save(folder.with_name("goal.png"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python recipes/example_arm.py FOLDER")
    main(Path(sys.argv[1]))
