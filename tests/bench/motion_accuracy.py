"""How well motion is found, beside its peers: writes docs/motion.md and docs/motion.json.

`python -m tests.bench.motion_accuracy` judges every kind of rendered scene at 320×240, on seeds
that were used for tuning and on seeds that weren't, and the films that were marked by hand. Where
Debian's program `motion` isn't installed, or the footage can't be fetched, the document says so.
"""

import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from firmware.config import MotionConfig
from firmware.motion.detector import MotionDetector
from tests.bench import motion_program
from tests.bench.detectors import FrameDetector, FrigateStyle, Mog2, Own
from tests.footage.debian import FootageMissing, footage
from tests.footage.marks import film_frames, read_marks
from tests.scenes import HELD_OUT_SEEDS, TUNING_SEEDS
from tests.scenes.rendering import KINDS, Scene, SceneKind
from tests.scenes.scoring import Score, score, truth_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH, HEIGHT = 320, 240
WORKERS = 2
LEAST_AREA = MotionConfig().min_size_percent / 100
DETECTORS: dict[str, Callable[[], FrameDetector]] = {
    "Doorward": Own,
    "MOG2": Mog2,
    "Frigate's way": FrigateStyle,
}
PROGRAM = "motion 4"
Scores = dict[str, Score]


def main() -> int:
    """Judge and write; the exit code is 1 if a peer is ahead on the seeds not used for tuning."""
    by_kind: dict[str, dict[SceneKind, Scores]] = {}
    for name, seeds in (("held out", HELD_OUT_SEEDS), ("tuning", TUNING_SEEDS)):
        with ProcessPoolExecutor(max_workers=WORKERS) as pool:
            found = pool.map(partial(_judge_kind, seeds=seeds), KINDS)
            by_kind[name] = dict(zip(KINDS, found, strict=True))
    totals = {name: _totals(kinds.values()) for name, kinds in by_kind.items()}
    films = _films()
    (DOCS / "motion.md").write_text(_markdown(by_kind, totals, films))
    (DOCS / "motion.json").write_text(_json(by_kind))
    held_out = totals["held out"]
    own = held_out.pop("Doorward")
    return int(any(own.f1 <= peer.f1 for peer in held_out.values()))


def _judge_kind(kind: SceneKind, *, seeds: tuple[int, ...]) -> Scores:
    totals: Scores = {}
    for seed in seeds:
        shots = list(Scene(kind=kind, seed=seed, width=WIDTH, height=HEIGHT).shots())
        truth, firsts = truth_of(shots, LEAST_AREA)
        told = {}
        for name, make in DETECTORS.items():
            detector = make()
            told[name] = [detector.is_moving(shot.frame) for shot in shots]
        if seeds == HELD_OUT_SEEDS and motion_program.is_installed():
            told[PROGRAM] = motion_program.judge([shot.frame for shot in shots])
        for name, answers in told.items():
            totals[name] = totals.get(name, Score()) + score(answers, truth, firsts)
    return totals


def _totals(kinds: Iterable[Scores]) -> Scores:
    totals: Scores = {}
    for scores in kinds:
        for name, one in scores.items():
            totals[name] = totals.get(name, Score()) + one
    return totals


def _films() -> list[str]:
    try:
        paths = {name: footage(name) for name in ("vtest.avi", "tree.avi")}
    except FootageMissing as why:
        return [f"Not judged: {why}."]
    marks = read_marks()
    lines = ["| film, zone | precision | recall |", "|---|---|---|"]
    for name, zone in marks.zones.items():
        detector = MotionDetector(MotionConfig(zones=(zone.polygon,)))
        frames = film_frames(paths["vtest.avi"], WIDTH, HEIGHT)
        told = [detector.look(frame) is not None for frame in frames]
        truth = zone.truth(marks.frames, marks.tolerance_frames)
        truth[:33] = [None] * 33
        one = score(told, truth, [])
        lines.append(f"| vtest.avi, {name} | {one.precision:.3f} | {one.recall:.3f} |")
    detector = MotionDetector(MotionConfig())
    told = [detector.look(f) is not None for f in film_frames(paths["tree.avi"], WIDTH, HEIGHT)]
    before = sum(told[:231])
    lines.append("")
    lines.append(
        f"tree.avi: {before} of the 231 frames with the waving tree alone are told, and the hand "
        f"that comes then {'is' if any(told[231:241]) else 'is not'} told within a second."
    )
    return lines


def _markdown(
    by_kind: dict[str, dict[SceneKind, Scores]], totals: dict[str, Scores], films: list[str]
) -> str:
    missing = "" if motion_program.is_installed() else f" {PROGRAM} isn't installed here."
    head = (
        "# How well motion is found\n\n"
        "Rendered scenes with exact truth (tests/scenes), 320×240, ten frames a second. Frames: "
        "precision, recall, F1.\nIn time: walkers told no later than the third frame after the "
        "first in which they have the least\nsize. False alarms: runs of frames told without a "
        f"reason, in {len(HELD_OUT_SEEDS)} or {len(TUNING_SEEDS)} scenes of 32 s of each kind."
        f"{missing}\n{PROGRAM} is the program of that name at three times the pace, on the seeds "
        "held out only; its\nanswers vary from run to run, and more so on a busy machine. "
        "Detectors were tuned on the tuning\nseeds alone. By `python -m "
        "tests.bench.motion_accuracy`.\n"
    )
    parts = [head]
    for name, scores in totals.items():
        parts.append(f"\n## Seeds: {name}\n")
        parts += ["| detector | precision | recall | F1 | in time | false alarms |"]
        parts += ["|---|---|---|---|---|---|"]
        parts += [_row(who, one) for who, one in scores.items()]
        parts += ["", "| Doorward, by kind | precision | recall | F1 | in time | false alarms |"]
        parts += ["|---|---|---|---|---|---|"]
        parts += [_row(kind, of["Doorward"]) for kind, of in by_kind[name].items()]
    parts += ["\n## Films, marked by hand\n", *films]
    return "\n".join(parts) + "\n"


def _row(name: str, one: Score) -> str:
    return (
        f"| {name} | {one.precision:.3f} | {one.recall:.3f} | {one.f1:.3f} | "
        f"{one.found_in_time} of {one.walkers} | {one.false_alarms} |"
    )


def _json(by_kind: dict[str, dict[SceneKind, Scores]]) -> str:
    table = [
        {"seeds": seeds, "kind": kind, "detector": who}
        | {name: getattr(one, name) for name in Score.__slots__}
        for seeds, kinds in by_kind.items()
        for kind, scores in kinds.items()
        for who, one in scores.items()
    ]
    return json.dumps(table, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
