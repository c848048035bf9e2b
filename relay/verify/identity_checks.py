"""Check that the doorbell was there before a recording: by a slot of its own, of an earlier day.

A relay that plots with others could enrol an invented doorbell after the fact. One whose slot is in
the witnessed log a day before the recording wasn't made up for it. Evidence shows a day to a month
and no more: the first slot would tell when somebody moved in. A young doorbell shows nothing, and
so would an invented one: what isn't shown is told apart from what fails, and is no success either.
"""

from firmware.protocol.custody import (
    IDENTITY_AGE_MS,
    MAX_IDENTITY_AGE_MS,
    IdentityProof,
    slot_entry,
)
from firmware.protocol.encoding import WireError, device_id_of
from firmware.protocol.slot_trees import slot_root
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.proof import parse_proof
from relay.verify.date_checks import begin_ms_of, seen_ms
from relay.verify.document_reader import (
    IDENTITY,
    Files,
    device_certificate,
    document_of,
    manifest_unverified,
)
from relay.verify.errors import NotCheckable, NotShown
from relay.verify.log_checks import check_custody, check_inclusion
from relay.verify.wall_time import moment


def check_identity(files: Files, number: int, policy: Policy | None) -> str:
    """Check that the doorbell's key was in the log from a day to a month before the recording."""
    if IDENTITY not in files:
        raise NotShown("the doorbell packed no slot of an earlier day, as a new one can't")
    proof = document_of(IdentityProof, files, IDENTITY)
    if proof.record.device != device_id_of(device_certificate(files).spki):
        raise WireError("the earlier slot is another doorbell's")
    root = slot_root(proof.record.digest(), index=proof.index, hashes=proof.hashes)
    check_custody(files, check_inclusion(proof.proof, slot_entry(proof.record.slot, root)))
    if policy is None:
        raise NotCheckable("no policy was given (--policy): whose times to believe isn't known")
    by_ms = seen_ms(parse_proof(proof.proof.encode()).note, policy)
    begin_ms = begin_ms_of(files, number, manifest_unverified(files, number))
    if begin_ms is None:
        raise NotShown("the doorbell's clock wasn't set: how much older it is can't be said")
    if not IDENTITY_AGE_MS <= begin_ms - by_ms <= MAX_IDENTITY_AGE_MS:
        raise NotShown(
            f"its slot was in the log by {moment(by_ms)}, which isn't a day to a month before the "
            f"recording ({moment(begin_ms)})"
        )
    return f"its key was in the log by {moment(by_ms)}"
