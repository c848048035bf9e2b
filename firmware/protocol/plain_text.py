"""Sanitizing of untrusted text before it is shown at a terminal."""


def plain(text: str) -> str:
    """Return a text that a terminal only shows: no control character, no direction mark."""
    return "".join(c if c.isprintable() or c == "\n" else "·" for c in text)
