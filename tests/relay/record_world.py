"""A relay with something to read in its public record: what was asked, and what came of it."""

from firmware.protocol.custody import (
    CustodyBody,
    CustodyLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    FeedDangerLeaf,
    FeedLegalProcessLeaf,
    LegalProcessLeaf,
    OutcomeLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    package_commitment,
    quarter_of,
)
from firmware.protocol.encoding import sha256_hex
from firmware.protocol.outcomes import OUTCOME_TAG, Outcome, OutcomeKind, SignedOutcome
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import RefusedCategory, RefusedLeaf
from firmware.protocol.requests import EvidenceRequest
from relay.custody.log_entries import LogEntries
from tests.fakes.sequenced_entries import place_entries
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import DAY_MS, World

PACKAGE_ID = "a-package-of-somebody"
PACKAGE = package_commitment(PACKAGE_ID)


async def log_custody(world: World, *bodies: CustodyBody, not_before_ms: int = 0) -> None:
    """Add entries to the custody log, and give those their places that may have them."""
    for body in bodies:
        entry = CustodyLeaf(body=body).encode()
        async with world.database.begin() as tx:
            key = sha256_hex(entry)
            await LogEntries().add(tx, "custody", entry, key=key, not_before_ms=not_before_ms)
    await place_entries(world.database, world.clock)


async def refuse(world: World, category: RefusedCategory, *, agency: str = "lakeland") -> None:
    """Let a moderator's refusal stand in the register."""
    leaf = RefusedLeaf(agency=agency, category=category)
    await world.register.submit(leaf, key=f"{category}/{world.clock.wall_ms()}")


async def publish(officer: Officer, **changes: object) -> EvidenceRequest:
    """Bring a request into the register."""
    request = officer.write(**changes)
    answer = await officer.publish(officer.sign(request))
    assert answer.is_success, answer.text
    return request


def outcome_of(officer: Officer, request: EvidenceRequest, outcome: OutcomeKind) -> OutcomeLeaf:
    """Return what an officer files of a request."""
    text = Outcome(
        request_digest=request.digest(),
        agency=officer.agency,
        officer_id=officer.officer_id,
        outcome=outcome,
        is_resolved=False,
    ).encode()
    assert officer.certificate is not None
    return OutcomeLeaf(
        signed=SignedOutcome(
            outcome=text.decode(),
            assertion=officer.passkey.sign(challenge(OUTCOME_TAG, text)),
            officer=officer.certificate,
        )
    )


async def fill(world: World) -> tuple[Officer, list[EvidenceRequest]]:
    """Let an agency ask, be refused, download, be asked to delete, and say what came of it."""
    officer = await certified_officer(world)
    requests = [
        await publish(officer),
        await publish(officer, case_number="K-2026/18", incident_type="theft"),
    ]
    await refuse(world, "assembly")
    await officer.withdraw(requests[1])
    now_ms = world.clock.wall_ms()
    await log_custody(
        world,
        ReceivedLeaf(agency="lakeland", quarter=quarter_of(now_ms), band="1-4"),
        DownloadLeaf(agency="lakeland", package=PACKAGE),
        DeletionAskedLeaf(agency="lakeland", package=PACKAGE, answer_by_ms=now_ms + 14 * DAY_MS),
        ErasedLeaf(package=package_commitment("another"), why="withdrawn"),
        LegalProcessLeaf(quarter="2026-Q3", kind="subpoena", yielded=["account_metadata"]),
        FeedLegalProcessLeaf(quarter="2026-Q3", kind="other", yielded=["posts"]),
        FeedDangerLeaf(agency="lakeland", post="ef" * 32),
        RefusalsLeaf(quarter="2026-Q2", counts={"clock": 3, "spent": 1}),
        outcome_of(officer, requests[1], "not_used"),
    )
    return officer, requests
