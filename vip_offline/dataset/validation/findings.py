"""What a check may find: each kind with its severity and the way out."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["wrong", "note"]

WRONG = {  # kind -> way out
    # numbers and lengths
    "not-finite": "repair the episode or leave it out",
    "length": "metadata and data disagree: repair it, or leave the episode out",
    "too-short": "a transition needs two; leave it out",
    # time
    "time-goes-back": "sort or repair the time stamps, or leave the episode out",
    "frame-rate": "correct the metadata, or encode the video again at the rate it was taken",
    "no-frame": "repair the time stamps or the video, or leave the episode out",
    "shared-frame": "repair the time stamps, or leave the episode out",
    # pictures
    "black-camera": "the camera was covered or off; leave the episode or the camera out",
    "frozen-camera": "the camera hung; leave the episode or the camera out",
    "camera-size": "import with --resize, or leave the episode out",
    # a data set
    "columns": "name others with --key-map",
    "empty": "restore the data set",
    "metadata": "restore the data set's meta folder",
    "unreadable": "what can be read is imported with --skip-broken",
    # a store
    "unfinished": "run the same command again to finish it",
    "damaged": "see there",
    "frames-changed": "record or import the store again",
    "not-upright": "import again",
    "video-changed": "restore the file, or import again",
    "label": "run vip-offline relabel again; --overwrite replaces one that has gaps",
}
NOTES = {  # kind -> way out
    # numbers and lengths
    "action-range": "train scales actions and scales them back; see that the units are meant",
    "constant-action": "nothing can be learnt about it; leave it out if the robot does not need it",
    "outlier": "train clips it to the rest; repair it, or leave the episode out",
    "odd-length": "look at it: it may have been cut off or left running",
    "idle-start": "a policy learns to wait there; cut them off if that is not meant",
    "idle-end": "a policy learns to wait there; cut them off if that is not meant",
    # success
    "no-success": "name a goal yourself: relabel --goal last, --goal EPISODE:FRAME or a picture",
    "failure": "--goal successes and --only-successes leave it out",
    "success-unlabelled": "they count as successes; import with --key-map success=COLUMN",
    # time
    "gap": "frames were dropped: the reward of such a step covers more time",
    # pictures
    "black-frames": "look at it; leave the episode out if need be",
    "nothing-moves": "nothing can be learnt from it unless it stands for a failure",
    "repeated-frames": "the reward of such a step is 0; cut standstill off if it means nothing",
    "camera-sizes": "each is embedded by itself; import with --resize to make them alike",
    # a data set
    "about": "",
    "left-out": "rename or convert it, if it is needed",
    "no-role": "import takes what --key-map names",
}


@dataclass(frozen=True)
class Finding:
    """One problem or remark at one place in the data."""

    kind: str  # one of `WRONG` or `NOTES`
    value: str  # what was found
    where: str = ""  # episode and camera
    file: str = ""  # unless it is the data set's only one

    @property
    def severity(self) -> Severity:
        """Whether the data are wrong, or this is worth knowing."""
        return "wrong" if self.kind in WRONG else "note"

    @property
    def way_out(self) -> str:
        """What to do about it."""
        return WRONG[self.kind] if self.kind in WRONG else NOTES[self.kind]
