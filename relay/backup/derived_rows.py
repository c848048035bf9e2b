"""Rows derived from restored log entries: those that were first written together with them.

Without them what is public and what the relay does would part: a package that was downloaded would
be withdrawn as if it never had been, a request would go into the register a second time, and an
agency would owe an outcome that it has filed. Only what an entry itself says is known again.
"""

from collections.abc import Mapping, Sequence

from firmware.protocol.custody import (
    CustodyBody,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    OutcomeLeaf,
    SignedDeletionAnswer,
    package_commitment,
    parse_custody_leaf,
)
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.outcomes import Outcome, SignedOutcome, parse_outcome
from firmware.protocol.register.entries import MAX_LEAF_BYTES, Leaf, RequestLeaf
from firmware.protocol.requests import (
    EvidenceRequest,
    OfficerCertificate,
    SignedRequest,
    parse_request,
)
from relay.backup.entry_names import answered_packages
from relay.custody.entries import ANSWER_WITHIN_MS
from relay.store import custody, moderation, outcomes, packages, people, reads, recovery, requests
from relay.store.custody import Deletion
from relay.store.database import Transaction
from relay.store.outcomes import FiledOutcome
from relay.store.packages import Package
from relay.store.people import Account
from relay.store.requests import Cosigned, Draft

NO_TEXT = ""
"""What an agency wrote beside an outcome for itself is in no log, and lost."""


async def packages_in_log(tx: Transaction) -> dict[str, Package]:
    """Return every package, also one on its way, by its pseudonym in the log."""
    return {package_commitment(one.package_id): one for one in await packages.list_all(tx)}


async def restore_custody_rows(
    tx: Transaction, entries: Sequence[bytes], stored: Mapping[str, Package], now_ms: int
) -> None:
    """Write the packages', deletion requests' and outcomes' rows of custody entries (R14, R19)."""
    for entry in entries:
        try:
            body = parse_custody_leaf(entry).body
            told = _outcome(body.signed) if isinstance(body, OutcomeLeaf) else None
            commitments = _commitments(body)
        except WireError:
            continue
        if isinstance(body, OutcomeLeaf) and told is not None:
            await _file(tx, body.signed, *told, now_ms=now_ms)
        for package in (stored.get(commitment) for commitment in commitments):
            if package is not None:
                await _follow_package(tx, body, package)


async def restore_request_rows(tx: Transaction, entries: Sequence[bytes], now_ms: int) -> None:
    """Mark every request that was published since the backup as published, wherever it waited."""
    for entry in entries:
        try:
            body = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
            if not isinstance(body, RequestLeaf):
                continue
            request = parse_request(body.signed)
        except WireError:
            continue
        await _publish(tx, body.signed, request, now_ms)


# --- packages -----------------------------------------------------------------------------------


def _commitments(body: CustodyBody) -> list[str]:
    match body:
        case DownloadLeaf() | DeletionAskedLeaf() | ErasedLeaf():
            return [body.package]
        case DeletionAnsweredLeaf():
            return answered_packages(body.signed)
        case _:
            return []


async def _follow_package(tx: Transaction, body: CustodyBody, package: Package) -> None:
    match body:
        case DownloadLeaf():
            await recovery.set_come_to(tx, package, "downloaded")
        case DeletionAskedLeaf():
            await recovery.set_come_to(tx, package, "downloaded")
            await _ask_for_deletion(tx, body, package.package_id)
        case DeletionAnsweredLeaf():
            await _answer(tx, body.signed, package.package_id)
        case ErasedLeaf():
            await recovery.set_come_to(tx, package, "erasing")
        case _:
            pass


async def _ask_for_deletion(tx: Transaction, body: DeletionAskedLeaf, package_id: str) -> None:
    if await custody.find_deletion(tx, package_id) is None:
        wish = Deletion(
            package_id=package_id,
            agency=body.agency,
            asked_ms=body.answer_by_ms - ANSWER_WITHIN_MS,
            answer_by_ms=body.answer_by_ms,
            answer=None,
        )
        await custody.put_deletion(tx, wish)


async def _answer(tx: Transaction, signed: SignedDeletionAnswer, package_id: str) -> None:
    """Write an agency's answer; its signature was checked before it came into the log."""
    await custody.answer_deletion(tx, package_id, signed)


# --- requests and outcomes ----------------------------------------------------------------------


async def _publish(
    tx: Transaction, signed: SignedRequest, request: EvidenceRequest, now_ms: int
) -> None:
    row = await requests.find_request(tx, request.id)
    if row is None:
        await _ensure_officer(
            tx, request.officer_id, agency=request.agency, name=request.officer_name, now_ms=now_ms
        )
        await requests.add_draft(
            tx,
            Draft(request=signed.request, assertion=signed.assertion, officer=signed.officer),
            request,
            account_id=request.officer_id,
            digest=request.digest(),
            now_ms=request.created_ms,
        )
    elif row.state == "logged" or row.draft.request != signed.request:
        return
    elif row.state == "refused":  # and a moderator who looked again let it pass
        await moderation.close_appeal(tx, row.id, now_ms)
    cosigned = Cosigned(cosignature=signed.cosignature, cosigner=signed.cosigner)
    await requests.set_cosigned(tx, request.id, cosigned, now_ms)
    await requests.set_state(tx, request.id, "logged", now_ms)


def _outcome(signed: SignedOutcome) -> tuple[Outcome, str]:
    """Return an outcome's content and the name of its officer, or raise WireError."""
    certificate = decode_canonical(OfficerCertificate, signed.officer.certificate.encode())
    return parse_outcome(signed), certificate.name


async def _file(
    tx: Transaction, signed: SignedOutcome, told: Outcome, name: str, *, now_ms: int
) -> None:
    await _ensure_officer(tx, told.officer_id, agency=told.agency, name=name, now_ms=now_ms)
    filed = FiledOutcome(
        request_digest=told.request_digest,
        agency=told.agency,
        account_id=told.officer_id,
        signed=signed,
        private_text=NO_TEXT,
        filed_ms=now_ms,
    )
    await outcomes.add_outcome(tx, filed)


async def _ensure_officer(
    tx: Transaction, officer_id: str, *, agency: str, name: str, now_ms: int
) -> None:
    """Whoever joined after the backup is known again by name, has no passkey, and is shut out."""
    if await people.find_account(tx, officer_id) is None:
        account = Account(id=officer_id, role="officer", agency=agency, name=name)
        await people.add_account(tx, account, now_ms)
        await reads.suspend_account(tx, officer_id, now_ms)
