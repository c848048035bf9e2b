"""A small world with real keys in which a grant is right, so that tests can make it wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import msgspec

from firmware.consent.facts import (
    ApproverFact,
    ClipFact,
    Confirmation,
    Decision,
    Facts,
    Grant,
    HouseholdFacts,
    Judged,
    Logged,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.verifier import judge, release
from firmware.protocol.decisions import Confirm
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.grants import (
    STATEMENT_TAG,
    AddOwner,
    ClipRange,
    GrantTerms,
    Owner,
    OwnerKeys,
    Recipient,
    SignedStatement,
    Statement,
)
from firmware.protocol.pairing import PairedKeys
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import Agreement, RequestLeaf
from firmware.protocol.register.facts import RegisterFacts
from firmware.protocol.releases import ReleaseOpening
from firmware.protocol.requests import EvidenceRequest, SignedRequest
from tests.fakes.log_town import CELL, MINUTE_MS, NOW_MS, Town, make_town
from tests.fakes.owner_file import file_of
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

DEVICE = "abcdefghijklmnop2345"

__all__ = [
    "CELL",
    "DEVICE",
    "MINUTE_MS",
    "NOW_MS",
    "ConsentWorld",
    "make_world",
    "new_owner_passkey",
    "reason",
]


@dataclass
class ConsentWorld:
    """One doorbell, one owner, one town with its agency, one request, one clip."""

    owner: SoftPasskey
    town: Town
    signed_request: SignedRequest
    facts: Facts
    clip_id: str
    paired: dict[str, PairedKeys]
    """What `facts.newcomers` is."""

    @property
    def agreement(self) -> Agreement:
        return self.town.agreement

    @property
    def request(self) -> EvidenceRequest:
        return msgspec.json.decode(self.signed_request.request, type=EvidenceRequest)

    def terms(self, **changes: Any) -> GrantTerms:
        fact = self.facts.clips[self.clip_id]
        right = GrantTerms(
            request_digest=self.signed_request.request_digest,
            clips=[
                ClipRange(
                    clip_id=self.clip_id,
                    manifest_digest=fact.manifest_digest,
                    from_ms=fact.started_ms,
                    to_ms=fact.ended_ms,
                )
            ],
            has_audio=False,
            recipient=Recipient(
                agency=self.agreement.agency, sealing_keys=list(self.agreement.sealing_keys)
            ),
        )
        return msgspec.structs.replace(right, **changes)

    def statement(self, terms: Any = None, **changes: Any) -> Statement:
        right = Statement(
            device=DEVICE,
            nonce=new_id(),
            not_after_ms=NOW_MS + 60 * MINUTE_MS,
            terms=terms if terms is not None else self.terms(),
        )
        return msgspec.structs.replace(right, **changes)

    def sign(self, statement: Statement, by: SoftPasskey | None = None) -> UnverifiedStatement:
        return self.sign_text(statement.encode(), by=by)

    def sign_text(self, text: bytes, by: SoftPasskey | None = None) -> UnverifiedStatement:
        """Let an owner sign any text."""
        signer = by or self.owner
        signed = SignedStatement(
            statement=text.decode(), assertion=signer.sign(challenge(STATEMENT_TAG, text))
        )
        return UnverifiedStatement(signed.encode())

    def read_register(self) -> ConsentWorld:
        """Let the doorbell read the town's register as it is now."""
        return self.with_facts(register=self.town.facts())

    def with_facts(self, **changes: Any) -> ConsentWorld:
        return replace(self, facts=replace(self.facts, **changes))

    def with_household(self, **changes: Any) -> ConsentWorld:
        return self.with_facts(household=replace(self.facts.household, **changes))

    def with_request(self, request: EvidenceRequest) -> ConsentWorld:
        """Publish another request too, and let the owner answer that one."""
        return self.with_signed_request(self.town.sign(request))

    def with_signed_request(self, signed: SignedRequest) -> ConsentWorld:
        self.town.append(RequestLeaf(signed=signed))
        return replace(self, signed_request=signed).read_register()

    def confirmation(self, digest: str, **changes: Any) -> Confirmation:
        right = Confirmation(
            statement_digest=digest,
            way="door_page",
            asked_ms=NOW_MS - MINUTE_MS,
            confirmed_ms=NOW_MS,
        )
        return replace(right, **changes)

    def with_approver(self, *, of: str | None = None) -> tuple[ConsentWorld, SoftPasskey]:
        """Let a key of the owner's (or of whom `of` says) confirm from anywhere."""
        key = SoftPasskey.create(rp_id="approve.example", origin="https://approve.example")
        fact = ApproverFact(
            credential_id=of or self.owner.key.credential_id, name="Laptop", key=key.key
        )
        approvers = {**self.facts.household.approvers, key.key.credential_id: fact}
        return self.with_household(approvers=approvers), key

    def with_owner(self) -> tuple[ConsentWorld, SoftPasskey]:
        """Let another person be an owner too."""
        passkey = new_owner_passkey()
        owner = Owner(name="Bo", passkey=passkey.key)
        return self.with_facts(owners=(*self.facts.owners, owner)), passkey

    def newcomer(self, **changes: Any) -> AddOwner:
        """Return what lets another person be an owner."""
        keys = OwnerKeys(
            name="Bo", passkey=new_owner_passkey().key, browser=SoftBrowser.create().keys
        )
        owner, commitment = msgspec.structs.replace(keys, **changes), sha256_hex(new_id().encode())
        self.paired[commitment] = owner
        return AddOwner(pairing_id=new_id(), owner=owner, commitment=commitment)

    def signed(self, statement: Statement, by: SoftPasskey | None = None) -> SignedStatement:
        return msgspec.json.decode(self.sign(statement, by=by), type=SignedStatement)

    def judged(self, terms: Any, by: SoftPasskey | None = None) -> Judged | Refusal:
        """Let the owner sign these terms, and the verifier judge."""
        return judge(self.sign(self.statement(terms), by=by), self.facts)

    def granted(self, **terms: Any) -> Grant:
        """Return a right grant, judged."""
        answer = self.judged(self.terms(**terms))
        assert isinstance(answer, Grant), answer
        return answer

    def decision(self, terms: Any) -> Decision:
        """Return another right decision of the owner's, judged."""
        answer = self.judged(terms)
        assert isinstance(answer, Decision), answer
        return answer

    def released(self, grant: Grant, **confirmation: Any) -> Release | Refusal:
        """Confirm and log a grant, and let the verifier release it."""
        confirmed = self.confirmation(grant.digest, **confirmation)
        return release(grant, confirmed, self.logged(grant.digest), self.facts)

    def approval(
        self,
        by: SoftPasskey,
        digest: str,
        answer: Literal["yes", "no"] = "yes",
        **changes: Any,
    ) -> SignedStatement:
        """Return an approver's word on a statement."""
        terms = Confirm(statement_digest=digest, answer=answer)
        return self.signed(self.statement(terms, **changes), by)

    def logged(
        self, digest: str, *, device: str = DEVICE, request_digest: str | None = None
    ) -> Logged:
        """Commit to a release and log it, as doorbell and relay do together."""
        proof = self.town.release_proof(
            device=device,
            grant_digest=digest,
            request_digest=request_digest or self.signed_request.request_digest,
        )
        opening = ReleaseOpening(record=proof.record, salt_g=proof.salt_g, salt_d=proof.salt_d)
        return Logged(opening=opening, proof=proof.proof.encode())


def new_owner_passkey() -> SoftPasskey:
    return SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")


def reason(answer: object) -> str | None:
    """Return the name of the check that refused; None if all is right."""
    if not isinstance(answer, Refusal):
        return None
    assert answer.detail
    return answer.reason


@lru_cache(maxsize=8)
def _asking_town(now_ms: int) -> tuple[Town, SignedRequest, RegisterFacts]:
    """Return a town with one request, and what a doorbell knows that has just read its register."""
    town = make_town(now_ms=now_ms)
    return town, town.publish(), town.facts()


def make_world(now_ms: int = NOW_MS) -> ConsentWorld:
    """Make a world whose town goes its own way from here on.

    Its beginning is the same for all worlds of a process: to sign and to check it takes four fifths
    of a world's time.
    """
    beginning, signed, register = _asking_town(now_ms)
    owner, town, clip_id = new_owner_passkey(), beginning.copy(), new_id()
    paired: dict[str, PairedKeys] = {}
    facts = Facts(
        device=DEVICE,
        cell=CELL,
        now_ms=now_ms,
        is_clock_trusted=True,
        is_card_cloned=False,
        owners=(Owner(name="Ada", passkey=owner.key),),
        register=register,
        policy=town.policy,
        custody_origin=town.custody_log.origin,
        clips={
            clip_id: ClipFact(
                manifest_digest="ab" * 32,
                started_ms=now_ms - 60 * MINUTE_MS,
                ended_ms=now_ms - 59 * MINUTE_MS,
            )
        },
        spent=frozenset(),
        browsers={},
        newcomers=paired,
        household=HouseholdFacts(file=file_of(), approvers={}, waiting={}),
    )
    return ConsentWorld(
        owner=owner, town=town, signed_request=signed, facts=facts, clip_id=clip_id, paired=paired
    )
