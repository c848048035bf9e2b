"""A caller's address and browser, as the list of sessions shows them."""

from dataclasses import dataclass

MAX_BROWSER_CHARS = 60
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An address, and a browser in short."""

    address: str = ""
    browser: str = ""


NOBODY = Caller()
"""Where nobody knows, such as a command of this machine."""


def caller_of(address: str | None, user_agent: str) -> Caller:
    """Return the caller; the browser's User-Agent only helps people to recognise it."""
    return Caller(address=address or "", browser=_in_short(user_agent))


def _in_short(user_agent: str) -> str:
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), "")
    if browser:
        return f"{browser}, {system}" if system else browser
    plain = "".join(char for char in user_agent if char.isascii() and char.isprintable())
    return plain[:MAX_BROWSER_CHARS]
