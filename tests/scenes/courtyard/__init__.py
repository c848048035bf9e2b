"""A courtyard in three dimensions, cast and lit anew for each picture: the held-out maker.

No detector is tuned on these scenes, and who changes one doesn't look at them: the accuracy program
alone judges by them (`tests.bench.motion_accuracy`), once, when a detector is done. As soon as
somebody has opened their pictures or their results kind by kind in order to tune, they are one more
tuning set, and a new maker is needed in their place.

`kinds` lists what happens; `site` is the place, `buffers` its cast, `light` what falls on it,
`figures` and `route` who moves, `air` and `cloth` what disturbs, `camera` and `compression` what is
left of it. `renderer` puts them together; `truth` counts the pixels that show.
"""

from tests.scenes.courtyard.kinds import KINDS, scene

__all__ = ["KINDS", "scene"]
