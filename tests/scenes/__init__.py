"""Rendered scenes before a doorbell, with the exact truth of what moves in each frame.

Read `rendering` first (what a scene and its truth are), then `weather` (what disturbs it) and
`movers` (who walks through it). `scoring` compares a detector's answers with the truth.
Everything follows from the kind and the seed. Detectors are tuned on TUNING_SEEDS (ours on rain up
to 48 too, for few seeds have heavy rain). The tests use TEST_SEEDS in every run, so whoever changes
a detector sees them too. HELD_OUT_SEEDS are for `tests.bench.motion_accuracy` alone, which judges
them once: when the detector has changed since, put six new ones there before it is run again.
"""

TUNING_SEEDS = tuple(range(1, 13))
TEST_SEEDS = (101, 102, 103, 104, 105, 106)
HELD_OUT_SEEDS = (301, 302, 303, 304, 305, 306)
