"""Errors of reading evidence.

WireError                   (protocol) something isn't what it must be
├── UnreadablePackage       it can't be opened: no package, another key, a cut header
└── AlteredPackage          it was sealed to this key, and isn't what was sealed
NotCheckable                not a failure: what a check needs isn't at hand
NotShown                    not a failure: honest evidence may be unable to show it
"""

from firmware.protocol.encoding import WireError


class UnreadablePackage(WireError):
    """The package can't be opened."""


class AlteredPackage(WireError):
    """The package was altered after it was sealed."""


class NotCheckable(Exception):
    """A check can't be made; the text says what is missing. Nobody may read it as "holds"."""


class NotShown(Exception):
    """Something that this evidence doesn't show; the text says why. It never ends in success."""
