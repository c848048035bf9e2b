"""Parser of both logs' entries into rows of the public record.

Pure: bytes in, a row or nothing out.
"""

from dataclasses import replace

from firmware.protocol.custody import (
    CreditsLeaf,
    CustodyBody,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    FeedDangerLeaf,
    FeedLegalProcessLeaf,
    LegalProcessLeaf,
    OutcomeLeaf,
    ReceivedLeaf,
    RefusalsLeaf,
    parse_custody_leaf,
    parse_deletion_answer,
)
from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.outcomes import parse_outcome
from firmware.protocol.register.changes import parse_change, terms_of
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    AdminsChanged,
    AgencySuspended,
    AgreementMade,
    ChangeBody,
    ChangeLeaf,
    Charter,
    Leaf,
    LimitsChanged,
    OfficerLeaf,
    OfficerRevoked,
    ProgramReleased,
    RefusedLeaf,
    RequestLeaf,
    Succession,
    WithdrawnLeaf,
)
from firmware.protocol.requests import OfficerCertificate, Withdrawal, parse_request
from relay.record.rows import CustodyKind, EntryRow


def register_row(index: int, entry: bytes) -> EntryRow:
    """Return the row of a register entry; one that doesn't parse is void."""
    try:
        body = decode_canonical(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
        match body:
            case ChangeLeaf():
                return _change_row(index, parse_change(body).body)
            case OfficerLeaf():
                told = decode_canonical(OfficerCertificate, body.signed.certificate.encode())
                return EntryRow(log="register", index=index, kind="officer", agency=told.agency)
            case RequestLeaf():
                request = parse_request(body.signed)
                return EntryRow(
                    log="register",
                    index=index,
                    kind="request",
                    agency=request.agency,
                    detail=request.case_number,
                    subject=body.signed.request_digest,
                )
            case WithdrawnLeaf():
                taken = decode_canonical(Withdrawal, body.signed.withdrawal.encode())
                return EntryRow(
                    log="register",
                    index=index,
                    kind="withdrawn",
                    agency=taken.agency,
                    subject=taken.request_digest,
                )
            case RefusedLeaf():
                return EntryRow(
                    log="register",
                    index=index,
                    kind="refused",
                    agency=body.agency,
                    detail=body.category,
                )
    except WireError:
        return void_row(index)


def void_row(index: int) -> EntryRow:
    """Return the row of an unauthorised entry."""
    return EntryRow(log="register", index=index, kind="void")


def _change_row(index: int, body: ChangeBody) -> EntryRow:
    match body:
        case Charter():
            old = body.succeeds
            detail = old.origin if isinstance(old, Succession) else ""
            return EntryRow(log="register", index=index, kind="charter", detail=detail)
        case AdminsChanged():
            return EntryRow(log="register", index=index, kind="admins")
        case LimitsChanged():
            return EntryRow(log="register", index=index, kind="limits")
        case AgreementMade():
            agreement = terms_of(body.signed)
            version = str(agreement.version)
            return EntryRow(
                log="register",
                index=index,
                kind="agreement",
                agency=agreement.agency,
                detail=version,
            )
        case AgencySuspended():
            return EntryRow(log="register", index=index, kind="suspended", agency=body.agency)
        case OfficerRevoked():
            return EntryRow(log="register", index=index, kind="officer_revoked", agency=body.agency)
        case ProgramReleased():
            return EntryRow(log="register", index=index, kind="program", detail=body.program)


def custody_row(index: int, entry: bytes) -> EntryRow | None:
    """Return the row of a custody entry; None for kinds that aren't shown."""
    try:
        body = parse_custody_leaf(entry).body
        match body:
            case DeletionAnsweredLeaf():
                answer = parse_deletion_answer(body.signed.answer.encode())
                first, *more = answer.packages
                row = _package_row(index, "deletion_answered", answer.agency, first)
                return replace(row, detail=answer.answer, more_subjects=tuple(more))
            case OutcomeLeaf():
                outcome = parse_outcome(body.signed)
                return EntryRow(
                    log="custody",
                    index=index,
                    kind="outcome",
                    agency=outcome.agency,
                    detail=outcome.outcome,
                    subject=outcome.request_digest,
                    is_resolved=outcome.is_resolved,
                )
    except WireError:
        return None  # of a later version's form: the monitor tells of those
    return _plain_custody_row(index, body)


def _plain_custody_row(index: int, body: CustodyBody) -> EntryRow | None:
    match body:
        case ReceivedLeaf():
            return EntryRow(
                log="custody",
                index=index,
                kind="received",
                agency=body.agency,
                detail=body.band,
                quarter=body.quarter,
            )
        case DownloadLeaf():
            return _package_row(index, "download", body.agency, body.package)
        case DeletionAskedLeaf():
            row = _package_row(index, "deletion_asked", body.agency, body.package)
            return replace(row, answer_by_ms=body.answer_by_ms)
        case ErasedLeaf():
            row = _package_row(index, "erased", None, body.package)
            return replace(row, detail=body.why)
        case FeedDangerLeaf():
            return EntryRow(
                log="custody",
                index=index,
                kind="feed_danger",
                agency=body.agency,
                subject=body.post,
            )
        case LegalProcessLeaf() | FeedLegalProcessLeaf():
            return EntryRow(
                log="custody",
                index=index,
                kind="legal_process"
                if isinstance(body, LegalProcessLeaf)
                else "feed_legal_process",
                detail=body.kind,
                quarter=body.quarter,
                yielded=tuple(body.yielded),
            )
        case CreditsLeaf():
            return EntryRow(
                log="custody",
                index=index,
                kind="credits",
                detail=body.name,
                subject=body.sha256,
            )
        case RefusalsLeaf():
            return EntryRow(
                log="custody",
                index=index,
                kind="refusals",
                quarter=body.quarter,
                counts=body.counts,
            )
        case _:
            return None


def _package_row(index: int, kind: CustodyKind, agency: str | None, package: str) -> EntryRow:
    return EntryRow(log="custody", index=index, kind=kind, agency=agency, subject=package)
