"""A check: its kind, which is also the exit code if it fails, its result, and its text."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum

from firmware.protocol.encoding import WireError
from relay.verify.errors import NotCheckable, NotShown


class Exit(IntEnum):
    """Exit codes of `doorward-verify`. 10 and more name the first kind of check that fails.

    1 is none of them: with it Python ends when a program breaks, and that is no verdict.
    """

    HOLDS = 0
    USAGE = 2
    INCOMPLETE = 3
    UNREADABLE = 10
    PACKAGE = 11
    DEVICE = 12
    REQUEST = 13
    GRANT = 14
    PICTURES = 15
    SOUND = 16
    LOG = 17
    POLICY = 18
    CAPTURE = 19
    PROVENANCE = 20
    READER = 21

    @property
    def words(self) -> str:
        """The exit code's meaning, for people."""
        return _WORDS[self]


_WORDS = {
    Exit.HOLDS: "every check was made, and holds",
    Exit.USAGE: "wrong use, or a file that can't be read",
    Exit.INCOMPLETE: "nothing fails, but something was not checked, or not shown (it says what)",
    Exit.UNREADABLE: "the package can't be opened (no package, or not sealed to this key)",
    Exit.PACKAGE: "the package or a file of it was altered, added or taken out",
    Exit.DEVICE: "the doorbell's certificate or signature",
    Exit.REQUEST: "the agency's request",
    Exit.GRANT: "the owner's grant",
    Exit.PICTURES: "the pictures",
    Exit.SOUND: "the sound",
    Exit.LOG: "a proof from the public log",
    Exit.POLICY: "the log's signature or its witnesses",
    Exit.CAPTURE: "the commitment made when it was recorded",
    Exit.PROVENANCE: "the C2PA provenance inside a clip",
    Exit.READER: "none of Doorward's own checks, but C2PA's own reader refuses a clip",
}


class Result(Enum):
    """The result of a check."""

    HOLDS = "holds"
    FAILS = "FAILS"
    NOT_CHECKED = "not checked"
    NOT_SHOWN = "not shown"
    """Honest evidence may be unable to show it: a new doorbell can't show its age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check with its result."""

    kind: Exit
    what: str
    result: Result
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether it was checked and holds."""
        return self.result is Result.HOLDS


def run(kind: Exit, what: str, look: Callable[[], str | None]) -> Check:
    """Run one check: `look` returns a detail, or raises WireError, NotCheckable or NotShown."""
    try:
        detail = look()
    except WireError as error:
        return Check(kind=kind, what=what, result=Result.FAILS, detail=str(error))
    except NotCheckable as missing:
        return Check(kind=kind, what=what, result=Result.NOT_CHECKED, detail=str(missing))
    except NotShown as missing:
        return Check(kind=kind, what=what, result=Result.NOT_SHOWN, detail=str(missing))
    return Check(kind=kind, what=what, result=Result.HOLDS, detail=detail or "")


def exit_code_of(checks: Iterable[Check]) -> Exit:
    """Return the exit code of all checks together.

    A changed file fails the list of files as well as its own check, which says more: so
    PACKAGE is named only if nothing else fails. What isn't shown is no success: whoever made a
    doorbell up afterwards would leave out what shows its age.
    """
    listed = list(checks)
    failed = {check.kind for check in listed if check.result is Result.FAILS}
    if failed:
        return min(failed - {Exit.PACKAGE} or failed)
    return Exit.HOLDS if listed and all(check.holds for check in listed) else Exit.INCOMPLETE
