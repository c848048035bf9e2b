"""D5: judging a luma frame, against OpenCV's MOG2 on the same frames.

At the camera's pace the detector's thread sleeps between the frames, while another thread copies
pictures as large as the camera's: each frame finds the caches cold, as in the product. Its CPU time
counts, so other processes lengthen it only by what they take of the caches. The row beside it
judges the same frames in a loop.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np

from firmware.capture.camera_output import LumaFrame
from tests.bench.detectors import FrameDetector, Mog2, Own
from tests.bench.measuring import Goal, Result, Run, Size, in_turns, timed
from tests.scenes import TEST_SEEDS
from tests.scenes.rendering import PER_S, Scene, SceneKind

KINDS: tuple[SceneKind, ...] = ("calm", "noise_4", "leaves", "rain", "night")
"""Half a minute of each, nearly two fifths of it with people."""
PACED_S = 6.0
"""Of each scene, half of it before somebody comes; the frames before are judged in a loop."""
PACED_FROM = 130
PICTURE_BYTES, PICTURES_PER_S = 1920 * 1080 * 3 // 2, 30
PEER = "OpenCV's MOG2 with opening and connected components, one thread"


def measure(size: Size) -> list[Result]:
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

    paced_s = min(PACED_S, size.real_time_s / 6)
    paced = in_turns(
        size.real_time_runs,
        partial(_judge_paced, films, Own, paced_s),
        partial(_judge_paced, films, Mog2, paced_s),
        has_warm_up=False,
    )
    looped = in_turns(size.runs, lambda: judge(Own), lambda: judge(Mog2))
    scene_text = f"{len(KINDS)} rendered scenes, {PER_S} frames a second"
    return [
        Result(
            id="D5",
            what="motion: CPU to judge a luma frame of 320×240 at the camera's pace, asleep "
            f"between frames while another thread copies 1080p pictures ({scene_text})",
            unit="µs",
            peer=PEER,
            own_runs=paced[0],
            peer_runs=paced[1],
            goal=Goal(value=150.0),
        ),
        Result(
            id="D5 loop",
            what=f"motion: judge a luma frame of 320×240 in a loop ({scene_text})",
            unit="µs",
            peer=PEER,
            own_runs=looped[0],
            peer_runs=looped[1],
        ),
    ]


def _judge_paced(
    films: list[list[LumaFrame]], make: Callable[[], FrameDetector], paced_s: float
) -> Run:
    """Judge some seconds of each film at its own pace; the frames before them in a loop."""
    times_ns: list[int] = []
    count = max(1, round(paced_s * PER_S))
    with _camera_traffic():
        for film in films:
            detector = make()
            first = min(PACED_FROM, len(film) - count)
            for frame in film[:first]:
                detector.is_moving(frame)
            for frame in film[first : first + count]:
                time.sleep(1 / PER_S)
                begin_ns = time.thread_time_ns()
                detector.is_moving(frame)
                times_ns.append(time.thread_time_ns() - begin_ns)
    return Run(times_ns=times_ns)


@contextmanager
def _camera_traffic() -> Iterator[None]:
    """Copy pictures on another thread meanwhile."""
    has_ended = threading.Event()

    def copy() -> None:
        picture = np.zeros(PICTURE_BYTES, np.uint8)
        other = np.empty_like(picture)
        while not has_ended.wait(1 / PICTURES_PER_S):
            np.copyto(other, picture)

    thread = threading.Thread(target=copy, name="camera-traffic")
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()
