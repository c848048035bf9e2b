"""A register's saved state: the results of its replay, so that a start needn't repeat it.

Saved is what became of each entry: who administers, which certificates were revoked, which
requests were published, withdrawn, renewed, which entries are void. What requests say isn't in it:
that is read from the entries, which whoever loads has there anyway, and whose root must be the one
that was saved. So the file stays small (12 bytes a request: cards wear out), and no request can be
in it that isn't in the log.

Every attribute of `Register` and of its records is here, or follows from what is
(tests/firmware/test_saved_register.py fails for one that was forgotten).
"""

from collections.abc import Iterable
from itertools import takewhile

import msgspec

from firmware.protocol.encoding import WireError, decode
from firmware.protocol.register.ended import Ended, HashBag
from firmware.protocol.register.entries import (
    MAX_LEAF_BYTES,
    Admin,
    Delays,
    Leaf,
    RequestLeaf,
)
from firmware.protocol.register.records import (
    AgreementRecord,
    LimitsRecord,
    OfficerRecord,
    ProgramRecord,
    RequestRecord,
    Void,
    sharing,
)
from firmware.protocol.register.replay import Register
from firmware.protocol.register.saved_form import SavedUnusable, frame, unframe
from firmware.protocol.requests import EvidenceRequest, SignedCertificate, SignedRequest
from firmware.protocol.tlog.merkle import Tree

TAG = b"doorward/saved-register/v2\n"


class SavedRequest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A `RequestRecord` but for its texts, which are in the entry."""

    index: int
    withdrawn_index: int | None
    renewed_by: str | None
    keeps_from: int


class SavedRegister(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`root` is that of the tree over the `size` entries that led to this."""

    origin: str
    charter: str | None
    size: int
    root: bytes
    widenings: int
    narrowings: int
    chain: str
    changes: list[int]
    delays: Delays
    limits: list[LimitsRecord]
    admins: dict[str, Admin]
    agreements: list[AgreementRecord]
    officers: list[OfficerRecord]
    requests: list[SavedRequest]
    programs: list[ProgramRecord]
    refusals: list[tuple[str, str, int]]
    voids: list[Void]
    nonces: list[str]
    forgets_before_ms: int
    ended_ids: bytes
    ended_cases: bytes
    ended_places: list[tuple[str, str, int]]


def save_register(register: Register, *, root: bytes, code: bytes) -> bytes:
    """Return the state as bytes; `root` is that of the entries, `code` is `code_digest()`."""
    return frame(TAG, saved_form_of(register, root=root), code=code)


def saved_form_of(register: Register, *, root: bytes) -> SavedRegister:
    """Return the state in its saved form; `root` is that of the entries."""
    ended = register._counts.ended
    return SavedRegister(
        origin=register.origin,
        charter=register.charter,
        size=register.size,
        root=root,
        widenings=register.widenings,
        narrowings=register.narrowings,
        chain=register.chain,
        changes=register.changes,
        delays=register.delays,
        limits=register.limits,
        admins=register.admins,
        agreements=[one for known in register.agreements.values() for one in known],
        officers=[one for known in register.officers.values() for one in known],
        requests=[
            SavedRequest(
                index=record.index,
                withdrawn_index=record.withdrawn_index,
                renewed_by=record.renewed_by,
                keeps_from=record.keeps_from,
            )
            for record in register.requests.values()
        ],
        programs=register.programs,
        refusals=[(*key, count) for key, count in register.refusals.items()],
        voids=register.voids,
        nonces=sorted(register._nonces),
        forgets_before_ms=register._forgets_before_ms,
        ended_ids=ended.ids.to_bytes(),
        ended_cases=ended.cases.to_bytes(),
        ended_places=[(*place, at_ms) for place, at_ms in ended.places.items()],
    )


def load_register(
    data: bytes,
    *,
    origin: str,
    tree: Tree,
    entries: Iterable[bytes],
    code: bytes,
    charter: str | None = None,
) -> Register:
    """Return the state, or raise SavedUnusable.

    `tree` is that of the entries of which the caller knows that they are the log's; `entries`
    gives them from the first on, and is read up to where the state ends: the rest is to be applied.
    """
    saved = unframe(TAG, SavedRegister, data, code=code)
    if not 0 <= saved.size <= tree.size or tree.root(saved.size) != saved.root:
        raise SavedUnusable("it is of other entries than those that are here")
    return restore_register(saved, enumerate(entries), origin=origin, charter=charter)


def restore_register(
    saved: SavedRegister,
    entries: Iterable[tuple[int, bytes]],
    *,
    origin: str,
    charter: str | None,
) -> Register:
    """Return the state that a saved form is of, or raise SavedUnusable.

    `entries`, each with its index and in order, has all of the kept requests, and the last entry
    that the state is of; what comes later isn't read.
    """
    if saved.origin != origin:
        raise SavedUnusable(f"it is of {saved.origin}")
    if saved.charter != charter:
        raise SavedUnusable("the policy names another charter than when it was saved")
    register = Register(origin, charter=charter)
    register.size = saved.size
    register.widenings = saved.widenings
    register.narrowings = saved.narrowings
    register.chain = saved.chain
    register.changes = saved.changes
    register.delays = saved.delays
    register.limits = saved.limits
    register.admins = saved.admins
    for agreement in saved.agreements:
        register.agreements.setdefault(agreement.agreement.agency, []).append(agreement)
    for officer in saved.officers:
        key = (officer.certificate.agency, officer.certificate.officer_id)
        register.officers.setdefault(key, []).append(officer)
    register.programs = saved.programs
    register.refusals.update({(agency, category): n for agency, category, n in saved.refusals})
    register.voids = saved.voids
    register._nonces = set(saved.nonces)
    register._forgets_before_ms = saved.forgets_before_ms
    register._counts.ended = Ended(
        ids=HashBag.from_bytes(saved.ended_ids),
        cases=HashBag.from_bytes(saved.ended_cases),
        places={(agency, cell): at_ms for agency, cell, at_ms in saved.ended_places},
    )
    _take_requests(register, saved, entries)
    return register


def _take_requests(
    register: Register, saved: SavedRegister, entries: Iterable[tuple[int, bytes]]
) -> None:
    certificates = {
        officer.signed.certificate: officer.signed
        for known in register.officers.values()
        for officer in known
    }
    due = iter(saved.requests)
    request = next(due, None)
    last = -1
    for index, entry in takewhile(lambda one: one[0] < saved.size, entries):
        last = index
        if request is not None and request.index == index:
            record = _record(request, entry, certificates)
            register.add_request(record.signed.request_digest, record)
            request = next(due, None)
        if index + 1 == saved.size:
            break
    if last + 1 != saved.size or request is not None:
        raise SavedUnusable("it speaks of entries that aren't here")


def _record(
    saved: SavedRequest, entry: bytes, certificates: dict[str, SignedCertificate]
) -> RequestRecord:
    """Return the record of a request that was judged before."""
    try:
        body = decode(Leaf, entry, max_bytes=MAX_LEAF_BYTES).body
        if not isinstance(body, RequestLeaf):
            raise SavedUnusable(f"entry {saved.index} is no request")
        request = decode(EvidenceRequest, body.signed.request.encode())
    except WireError as error:
        raise SavedUnusable(f"entry {saved.index} can't be read: {error}") from error
    return RequestRecord(
        index=saved.index,
        request=request,
        signed=_shared(body.signed, certificates),
        withdrawn_index=saved.withdrawn_index,
        renewed_by=saved.renewed_by,
        keeps_from=saved.keeps_from,
    )


def _shared(signed: SignedRequest, certificates: dict[str, SignedCertificate]) -> SignedRequest:
    officer, cosigner = signed.officer, signed.cosigner
    return sharing(
        signed,
        certificates.get(officer.certificate, officer),
        certificates.get(cosigner.certificate, cosigner),
    )
