"""Notices: what a person should know and no step waits for, such as a weak supply."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice; `detail` names what it is about, and is for no program."""

    code: str
    detail: str = ""


class Notices:
    """The notices of now, in the order in which they came."""

    def __init__(self) -> None:
        self._notices: dict[str, Notice] = {}

    def add(self, code: str, detail: str = "") -> None:
        """Add a notice, or change its detail."""
        self._notices[code] = Notice(code=code, detail=detail)

    def remove(self, code: str) -> None:
        """Take a notice back."""
        self._notices.pop(code, None)

    def all(self) -> tuple[Notice, ...]:
        """Return the notices."""
        return tuple(self._notices.values())
