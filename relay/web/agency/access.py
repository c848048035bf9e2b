"""The access table of the agency's face: who may do what. Every route names a rule of it.

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
    """A route's requirement; `is_always` opens it before the agency's first day too.

    `is_counted` keeps out whose certificate doesn't count yet (R17): a stolen key makes one today.
    """

    need: Need = "session"
    roles: frozenset[Who] = frozenset()
    is_always: bool = False
    is_counted: bool = False


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
    "own.file": Rule(roles=EVERYBODY - {"revoked"}),
    # Whoever was revoked has nothing to link; signing in by what is linked stays as it is.
    "own.ways": Rule(roles=EVERYBODY - {"revoked"}),
    "colleagues": Rule(roles=EVERYBODY - {"revoked"}),
    "requests.read": Rule(roles=_who("newcomer", "officer", "approver", "records")),
    # What colleagues have on the desk: whoever isn't certified, or only since today (R17), sees
    # only their own of it.
    "requests.unpublished": Rule(roles=_who("officer", "approver", "records"), is_counted=True),
    # A newcomer may begin; the desk refuses what isn't signed by a certified passkey.
    "requests.write": Rule(roles=_who("newcomer", "officer", "approver")),
    # The agency's templates and saved areas: nobody who isn't certified reads or changes them.
    "presets": Rule(roles=_who("officer", "approver"), is_counted=True),
    # What an agency tells the neighbourhood; who may ask, may inform.
    "feed.read": Rule(roles=_who("officer", "approver", "records")),
    "feed.write": Rule(roles=_who("officer", "approver"), is_counted=True),
    "evidence.read": Rule(roles=_who("officer", "approver", "records")),
    "evidence.download": Rule(roles=_who("officer", "approver", "records"), is_counted=True),
    "outcomes.file": Rule(roles=_who("officer", "approver", "records")),
    # The agency's administrator sees neither requests nor evidence.
    "staff": Rule(roles=_who("admin"), is_counted=True),
    "settings": Rule(roles=_who("admin"), is_counted=True),
}


def who_of(standing: Standing) -> Who:
    """Return a person's role by their standing in the register."""
    match standing.state:
        case "revoked":
            return "revoked"
        case "valid" | "waiting":
            return standing.role
        case _:
            return "newcomer"


def may(standing: Standing, rule: str) -> bool:
    """Return whether a rule admits a signed-in person of this standing."""
    asked = RULES[rule]
    return who_of(standing) in asked.roles and has_counted(standing, asked)


def has_counted(standing: Standing, rule: Rule) -> bool:
    """Return whether a person's certificate counts by now, where a rule wants that."""
    return standing.state == "valid" or not rule.is_counted
