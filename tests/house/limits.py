"""Limits of the code's structure: `make house` prints them, tests hold them."""

from typing import NamedTuple


class GraphLimit(NamedTuple):
    """The most parts on a package's first level, and the most layers of imports between them."""

    parts: int
    layers: int


LIMITS = {"firmware": GraphLimit(28, 12), "relay": GraphLimit(29, 13)}
APP_LINES = 3000
"""Wiring, without a rule or a format of its own."""
CALLBACKS = 60
"""Callback parameters of all constructors and dataclasses in firmware/."""
CONSTRUCTOR_PARAMETERS = 10
