"""D5: judging a luma frame, against OpenCV's MOG2 on the same frames."""

from functools import partial

import cv2

from tests.bench.detectors import FrameDetector, Mog2, Own
from tests.bench.measuring import Goal, Result, Run, Size, in_turns, timed
from tests.scenes import TEST_SEEDS
from tests.scenes.rendering import PER_S, Scene, SceneKind

KINDS: tuple[SceneKind, ...] = ("calm", "noise_4", "leaves", "rain", "night")
"""Half a minute of each, nearly two fifths of it with people."""


def measure(size: Size) -> Result:
    """Judge scenes frame by frame, each run with new detectors."""
    cv2.setNumThreads(1)
    length_s = min(size.video_s, 30)
    scenes = [
        Scene(kind=kind, seed=TEST_SEEDS[0], width=320, height=240, length_s=length_s)
        for kind in KINDS
    ]
    films = [[shot.frame for shot in scene.shots()] for scene in scenes]

    def judge(make: type[Own] | type[Mog2]) -> Run:
        times_ns: list[int] = []
        for film in films:
            detector: FrameDetector = make()
            for frame in film:
                times_ns += timed(partial(detector.is_moving, frame)).times_ns
        return Run(times_ns=times_ns)

    own, peer = in_turns(size.runs, lambda: judge(Own), lambda: judge(Mog2))
    return Result(
        id="D5",
        what=f"motion: judge a luma frame of 320×240 ({len(KINDS)} rendered scenes, {PER_S} "
        "frames a second)",
        unit="µs",
        peer="OpenCV's MOG2 with opening and connected components, one thread",
        own_runs=own,
        peer_runs=peer,
        goal=Goal(value=100.0),
    )
