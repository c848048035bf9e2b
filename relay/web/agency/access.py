"""Who may do what in the agency's face: the one table. Every route names a rule of it.

A person's part comes from their newest valid certificate in the register. Nobody is let in by a
route that forgot to ask: a route without a rule doesn't start.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from relay.agency.agencies import Standing

Who = Literal["newcomer", "officer", "approver", "records", "admin", "revoked"]
"""newcomer: signed in, without a certificate that counts or will."""
Need = Literal["nothing", "signature", "session"]
"""signature: the agency's own signature in the body authorises, whoever sends it."""

EVERYBODY: Final[frozenset[Who]] = frozenset(get_args(Who))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a route needs; `is_always` opens it before the agency's first day too."""

    need: Need = "session"
    roles: frozenset[Who] = frozenset()
    is_always: bool = False


def _who(*roles: Who) -> frozenset[Who]:
    return frozenset(roles)


RULES: Final[dict[str, Rule]] = {
    "anybody": Rule(need="nothing"),
    "signed": Rule(need="signature"),
    # One's own: also for somebody who was revoked, who has to be able to sign out.
    "own.sessions": Rule(roles=EVERYBODY, is_always=True),
    "own.reads": Rule(roles=EVERYBODY, is_always=True),
    "own.standing": Rule(roles=EVERYBODY),
    "own.passkey": Rule(roles=_who("newcomer")),
    "colleagues": Rule(roles=EVERYBODY - {"revoked"}),
    "requests.read": Rule(roles=_who("newcomer", "officer", "approver", "records")),
    # A newcomer may begin; the desk refuses what isn't signed by a certified passkey.
    "requests.write": Rule(roles=_who("newcomer", "officer", "approver")),
    "evidence.read": Rule(roles=_who("officer", "approver", "records")),
    "outcomes.file": Rule(roles=_who("officer", "approver", "records")),
    # The agency's administrator sees neither requests nor evidence.
    "staff": Rule(roles=_who("admin")),
    "settings": Rule(roles=_who("admin")),
}


def who_of(standing: Standing) -> Who:
    """Return a person's part by how they stand in the register."""
    match standing.state:
        case "revoked":
            return "revoked"
        case "valid" | "waiting":
            return standing.role
        case _:
            return "newcomer"


def may(who: Who, rule: str) -> bool:
    """Tell whether a signed-in person of this part is let in by a rule."""
    return who in RULES[rule].roles
