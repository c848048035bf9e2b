"""The verifier's checks stand in one order: of all that is wrong, the first is named.

For each check there is a world in which it fails and every later one too. So a check can't be
passed over because a later one would have caught the same, and what an owner is told is stable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import msgspec
import pytest

from firmware.consent.facts import (
    ClipFact,
    Confirmation,
    Grant,
    Logged,
    Reason,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.verifier import judge, release
from firmware.protocol.encoding import b64u
from firmware.protocol.grants import ClipRange
from tests.fakes.consent_world import NOW_MS, ConsentWorld, make_world, new_owner_passkey
from tests.fakes.log_town import DAY_MS, OTHER_CELL
from tests.story.authenticator import SoftPasskey


@dataclass
class Case:
    """A right grant on its way to a release, before anything of it is broken."""

    world: ConsentWorld
    clip: ClipRange
    terms: dict[str, Any] = field(default_factory=dict)
    statement: dict[str, Any] = field(default_factory=dict)
    signer: SoftPasskey | None = None
    is_signature_wrong: bool = False
    is_cut_short: bool = False
    is_repeated: bool = False
    is_spent: bool = False
    is_revoked: bool = False
    is_confirmed: bool = True
    is_logged: bool = True

    def facts(self, **changes: Any) -> None:
        self.world = self.world.with_facts(**changes)

    def register(self, **changes: Any) -> None:
        self.facts(register=replace(self.world.facts.register, **changes))

    def fact(self, **changes: Any) -> None:
        digest = self.world.signed_request.request_digest
        known = self.world.facts.register.requests
        self.register(requests={digest: replace(known[digest], **changes)})

    def request(self, **changes: Any) -> None:
        digest = self.world.signed_request.request_digest
        known = self.world.facts.register.requests[digest].request
        self.fact(request=msgspec.structs.replace(known, **changes))

    def answer(self) -> Release | Refusal:
        """Let the owner sign, the doorbell judge, the owner confirm, the relay log."""
        terms: Any = self.world.terms(
            clips=[self.clip] * (2 if self.is_repeated else 1), **self.terms
        )
        statement = self.world.statement(terms, **self.statement)
        signed = self.world.signed(statement, by=self.signer)
        if self.is_signature_wrong:
            forged = msgspec.structs.replace(signed.assertion, signature=b64u(b"\x30\x00"))
            signed = msgspec.structs.replace(signed, assertion=forged)
        data = signed.encode()[: -1 if self.is_cut_short else None]
        digest = statement.digest()
        if self.is_spent:
            self.facts(spent=frozenset({digest}))
        if self.is_revoked:
            self.world = self.world.with_household(revoked=frozenset({digest}))
        grant = judge(UnverifiedStatement(data), self.world.facts)
        if not isinstance(grant, Grant):
            assert isinstance(grant, Refusal)
            return grant
        confirmation: Confirmation | None = self.world.confirmation(digest)
        logged: Logged | None = self.world.logged(digest)
        return release(
            grant,
            confirmation if self.is_confirmed else None,
            logged if self.is_logged else None,
            self.world.facts,
        )


def right() -> Case:
    world = make_world()
    return Case(world=world, clip=world.terms().clips[0])


Break = Callable[[Case], None]


def broken(**changes: Any) -> Break:
    def break_it(case: Case) -> None:
        for name, value in changes.items():
            setattr(case, name, value)

    return break_it


def _officer(case: Case) -> None:
    known = case.world.facts.register.requests[case.world.signed_request.request_digest]
    case.fact(officer=replace(known.officer, is_revoked=True))


def _signature(case: Case) -> None:
    signed = case.world.signed_request
    case.fact(signed=msgspec.structs.replace(signed, assertion=signed.cosignature))


def _clip(**changes: Any) -> Break:
    def break_it(case: Case) -> None:
        case.clip = msgspec.structs.replace(case.clip, **changes)

    return break_it


def _out_of_window(case: Case) -> None:
    known = case.world.facts.clips[case.world.clip_id]
    early_ms = case.world.request.from_ms - 1000
    moved: ClipFact = replace(known, started_ms=early_ms)
    case.facts(clips={case.world.clip_id: moved})
    case.clip = msgspec.structs.replace(case.clip, from_ms=early_ms)


def _recipient(case: Case) -> None:
    known = case.world.terms().recipient
    case.terms["recipient"] = msgspec.structs.replace(known, agency="elsewhere")


CHECKS: list[tuple[Reason, Break]] = [
    ("form", broken(is_cut_short=True)),
    ("card_cloned", lambda case: case.facts(is_card_cloned=True)),
    ("register", lambda case: case.register(fresh_ms=NOW_MS - DAY_MS)),
    ("request_unknown", lambda case: case.register(requests={})),
    ("agreement", lambda case: case.register(agreements={})),
    ("officer", _officer),
    ("request_signature", _signature),
    ("request_unseen", lambda case: case.fact(seen_ms=None)),
    ("request_withdrawn", lambda case: case.fact(is_withdrawn=True)),
    ("request_expired", lambda case: case.request(expires_ms=NOW_MS)),
    ("rules", lambda case: case.request(cells=[OTHER_CELL, OTHER_CELL])),
    ("area", lambda case: case.facts(cell="891f000000bffff")),
    (
        "agency_refused",
        lambda case: setattr(
            case,
            "world",
            case.world.with_household(refused_agencies=frozenset({"lakeland-police"})),
        ),
    ),
    ("device", lambda case: case.statement.update(device="z" * 20)),
    ("owner", lambda case: setattr(case, "signer", new_owner_passkey())),
    ("assertion", broken(is_signature_wrong=True)),
    ("clock", lambda case: case.facts(is_clock_trusted=False)),
    ("expired", lambda case: case.statement.update(not_after_ms=NOW_MS)),
    ("spent", broken(is_spent=True)),
    ("revoked", broken(is_revoked=True)),
    ("clip_repeated", broken(is_repeated=True)),
    ("clip_unknown", _clip(clip_id="a" * 26)),
    ("clip_digest", _clip(manifest_digest="cd" * 32)),
    ("clip_range", _clip(to_ms=NOW_MS)),
    ("clip_window", _out_of_window),
    ("audio", lambda case: case.terms.update(has_audio=True)),
    ("recipient", _recipient),
    ("not_confirmed", broken(is_confirmed=False)),
    ("not_logged", broken(is_logged=False)),
]
"""Of a grant, in the verifier's order."""

ELSEWHERE: set[Reason] = {
    "already_owner", "browser", "right", "hold", "settings", "setting_value", "setting_unknown",
    "approver", "last_owner", "clip_held", "clip_kept", "recovery", "not_waiting",
    "newcomer", "card", "card_until_restart", "card_spoilt",
    "relay", "relay_limit", "relay_enrolled_late",
}  # fmt: skip
"""Of other decisions (test_household_rules.py), of the card (tests/faults), and of the relay."""


@pytest.mark.parametrize("at", range(len(CHECKS)), ids=[name for name, _ in CHECKS])
def test_of_all_that_is_wrong_the_first_is_named(at):
    case = right()
    for _, break_it in reversed(CHECKS[at:]):  # from the last one: some change what others read
        break_it(case)
    answer = case.answer()
    assert isinstance(answer, Refusal), answer
    assert answer.reason == CHECKS[at][0]


@pytest.mark.parametrize("at", range(len(CHECKS)), ids=[name for name, _ in CHECKS])
def test_each_thing_that_is_wrong_alone_is_enough(at):
    name, break_it = CHECKS[at]
    case = right()
    break_it(case)
    answer = case.answer()
    assert isinstance(answer, Refusal), answer
    assert answer.reason == name


def test_a_life_that_is_too_long_stands_where_one_that_is_over_does():
    case = right()
    for name, break_it in reversed(CHECKS):
        if [one for one, _ in CHECKS].index(name) > [one for one, _ in CHECKS].index("expired"):
            break_it(case)
    case.statement["not_after_ms"] = NOW_MS + DAY_MS + 1
    answer = case.answer()
    assert isinstance(answer, Refusal)
    assert answer.reason == "too_long"


def test_nothing_wrong_is_a_release():
    assert isinstance(right().answer(), Release)


def test_no_check_is_forgotten():
    told = {name for name, _ in CHECKS} | ELSEWHERE | {"too_long"}
    assert told == set(get_args(Reason))
