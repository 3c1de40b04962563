"""A ROS 2 arm as a driver of franka_loop.py: pictures and joints in, joint velocities out.

    source /opt/ros/jazzy/setup.bash
    python recipes/robot/ros2_node.py --set image=/camera/color/image_raw
        --set joints=fr3_joint1,fr3_joint2 --set commands=/velocity_controller/commands

AN EXAMPLE, NOT RUN ON A ROBOT, nor in ROS: rclpy is on no package index, so the tests call this
file with a stand-in for it. Every option of franka_loop.py works here; the loop, its checks and its
watchdogs are that file's.

Settings (``--set KEY=VALUE``), default in brackets:

    image       topic of sensor_msgs/Image, rgb8 or bgr8 [/camera/color/image_raw]
    name        of the camera, as the policy has it [front]
    states      topic of sensor_msgs/JointState [/joint_states]
    joints      names with commas, in the order of proprio and action
    commands    topic to publish to [/velocity_controller/commands]
    as          array: std_msgs/Float64MultiArray, for forward_command_controller
                jog: control_msgs/JointJog in rad/s, for MoveIt Servo (command_in_type: speed_units)
    stale       s after which a picture or a state is too old [0.2]
    limit       rad/s at most [0.3]

forward_command_controller passes on the last velocity for as long as it hears nothing else: use it
only where the hardware below has a watchdog. MoveIt Servo halts by itself after its
``incoming_command_timeout``.
"""

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from control_msgs.msg import JointJog
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

FIRST = 5.0  # s to wait for the first picture and state
CHANNELS = {"rgb8": slice(None), "bgr8": slice(None, None, -1)}  # to RGB


class Ros2Arm(Node):
    """A node whose callbacks only keep the newest message; the loop's thread does the rest."""

    rate: float | None = None
    action_kind = "velocity"

    def __init__(self, options: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        super().__init__("vip_offline")
        self._joints = options["joints"].split(",")
        self.proprio = tuple(f"{joint} [rad]" for joint in self._joints)
        self.action = tuple(f"{joint} velocity [rad/s]" for joint in self._joints)
        self._key = f"frame/{options.get('name', 'front')}"
        self._shape = metadata["interface"]["frames"].get(self._key, {}).get("shape")
        self._stale = float(options.get("stale", 0.2))
        self._limit = float(options.get("limit", 0.3))
        self._newest: dict[str, tuple[float, Any]] = {}
        self._jog = options.get("as", "array") == "jog"
        topic = options.get("commands", "/velocity_controller/commands")
        self._commands = self.create_publisher(
            JointJog if self._jog else Float64MultiArray, topic, 1
        )
        for kind, key, usual in (
            (Image, "image", "/camera/color/image_raw"),
            (JointState, "states", "/joint_states"),
        ):
            # by when it came, since clocks of two computers differ
            self.create_subscription(
                kind,
                options.get(key, usual),
                lambda message, key=key: self._newest.update({key: (time.monotonic(), message)}),
                qos_profile_sensor_data,
            )
        self._spinning = SingleThreadedExecutor()
        self._spinning.add_node(self)
        threading.Thread(target=self._spinning.spin, daemon=True).start()

    def observe(self) -> dict[str, Any]:
        """The newest picture and joints; raises where one is missing or too old."""
        until = time.monotonic() + FIRST
        while len(self._newest) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        for key in ("image", "states"):
            came, _ = self._newest.get(key, (0.0, None))
            age = time.monotonic() - came
            if age > self._stale:
                said = f"the newest is {age:.2f} s old" if came else "nothing came"
                raise RuntimeError(f"{key}: {said}")
        state = self._newest["states"][1]
        there = dict(zip(state.name, state.position, strict=True))
        missing = [joint for joint in self._joints if joint not in there]
        if missing:
            raise RuntimeError(f"the joint states have no {missing[0]} ({', '.join(there)})")
        proprio = np.array([there[joint] for joint in self._joints], np.float32)
        return {self._key: self._picture(self._newest["image"][1]), "proprio": proprio}

    def _picture(self, message: Any) -> NDArray[np.uint8]:
        if message.encoding not in CHANNELS:
            raise RuntimeError(f"the picture is {message.encoding}; expected {', '.join(CHANNELS)}")
        # rows may be padded
        rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.step)
        picture = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
        picture = picture[:, :, CHANNELS[message.encoding]]
        if self._shape and list(picture.shape) != list(self._shape):
            import cv2  # comes with ROS

            size = (self._shape[1], self._shape[0])
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(picture)

    def act(self, action: NDArray[np.float32]) -> None:
        """Publish velocities within the limit."""
        self._publish(np.clip(action.astype(np.float64), -self._limit, self._limit).tolist())

    def _publish(self, velocities: list[float]) -> None:
        if not self._jog:
            self._commands.publish(Float64MultiArray(data=velocities))
            return
        message = JointJog(joint_names=self._joints, velocities=velocities)
        message.header.stamp = self.get_clock().now().to_msg()
        self._commands.publish(message)

    def stop(self) -> None:
        """Zero velocity, several times, since one message may be lost; Servo halts by silence."""
        if self._jog:
            return
        for _ in range(5):
            self._publish([0.0] * len(self._joints))
            time.sleep(0.01)

    def done(self) -> bool | None:
        """Nobody tells it."""
        return None


def arm(options: Mapping[str, str], metadata: Mapping[str, Any]) -> Ros2Arm:
    """For ``franka_loop.py --driver ros2_node:arm``."""
    # ROS's own handlers would end the context on ctrl-C, and with it the way to the arm
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    return Ros2Arm(options, metadata)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from franka_loop import main

    sys.exit(main(["--driver", "ros2_node:arm", *sys.argv[1:]]))
