"""Scenes before a doorbell, with the exact truth of who moves in each picture.

Each maker is a module here that hands its scenes out in the form of `made`: `porch` (rendered with
`rendering`, `weather` and `movers`: read them in this order) and those that docs/motion.md lists.
`scoring` compares a detector's answers with the truth, for all makers alike.
Everything follows from the kind and the seed. Detectors are tuned on TUNING_SEEDS (ours on rain up
to 48 too, for few seeds have heavy rain). The tests use TEST_SEEDS in every run, so whoever changes
a detector sees them too. HELD_OUT_SEEDS are for `tests.bench.motion_accuracy` alone, which judges
them once: when the detector has changed since, put six new ones there before it is run again.
"""

TUNING_SEEDS = tuple(range(1, 13))
TEST_SEEDS = (101, 102, 103, 104, 105, 106)
HELD_OUT_SEEDS = (401, 402, 403, 404, 405, 406)
