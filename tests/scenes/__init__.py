"""Rendered scenes before a doorbell, with the exact truth of what moves in each frame.

Read `rendering` first (what a scene and its truth are), then `weather` (what disturbs it) and
`movers` (who walks through it). `scoring` compares a detector's answers with the truth.
Everything follows from the kind and the seed: detectors are tuned on TUNING_SEEDS and judged on
HELD_OUT_SEEDS.
"""

TUNING_SEEDS = tuple(range(1, 13))
HELD_OUT_SEEDS = (101, 102, 103, 104, 105, 106)
