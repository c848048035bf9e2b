"""The time between a movement's first picture and its verdict, at most: what memory must bridge.

A movement is dated back to its first picture, but known only later. Here is what that can take,
from the settings alone: the ring keeps so much more than the pre-roll, the motion watch dates no
movement further back, and the check of the settings counts the bytes.
"""

from firmware.config.settings import MotionConfig

GROWTH_S = 2.5
"""What grows or comes nearer for so long before it counts began with the picture of then."""
JUDGING_S = 1.5
"""From a picture to its verdict on a busy machine; after a longer gap motion begins anew."""


def dated_back_s(motion: MotionConfig) -> float:
    """Return how long before the picture of its verdict a movement may have begun."""
    return motion.min_time_s + GROWTH_S if motion.is_on else 0.0


def latest_verdict_s(motion: MotionConfig) -> float:
    """Return how long after its first picture a movement may become known."""
    return dated_back_s(motion) + JUDGING_S if motion.is_on else 0.0
