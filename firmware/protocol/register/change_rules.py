"""The rules of administration: who may change a register, valid charters and agreements. Pure."""

import msgspec

from firmware.protocol.encoding import unb64u
from firmware.protocol.passkeys import load_p256, verify_p256
from firmware.protocol.register.changes import agreement_of
from firmware.protocol.register.entries import (
    EXAMPLE_PREFIX,
    MAX_AGREEMENT_MS,
    WIDENING_KINDS,
    Admin,
    Agreement,
    ChangeHeader,
    ChangeSignature,
    Charter,
    Delays,
    Limits,
    SignedAgreement,
    Succession,
    agreement_message,
)
from firmware.protocol.register.records import EntryVoid
from firmware.protocol.sealing import seal_to


def admins_by_id(admins: list[Admin]) -> dict[str, Admin]:
    """Return the administrators by id, or raise EntryVoid: each has an id and a key alone."""
    keys = {load_p256(unb64u(admin.key)).public_numbers() for admin in admins}
    by_id = {admin.id: admin for admin in admins}
    if len(by_id) != len(admins) or len(keys) != len(admins):
        raise EntryVoid("each administrator has an id and a key of their own")
    return by_id


def check_signers(
    signatures: list[ChangeSignature], message: bytes, *, keys: dict[str, str], at_least: int
) -> None:
    """Raise EntryVoid unless so many different people signed, and nobody else."""
    for one in signatures:
        key = keys.get(one.by)
        if key is None:
            raise EntryVoid(f"{one.by!r} has no right to sign this")
        if not verify_p256(unb64u(key), unb64u(one.signature), message):
            raise EntryVoid(f"the signature of {one.by!r} doesn't match")
    if len({one.by for one in signatures}) < at_least:
        raise EntryVoid(f"{at_least} administrators must sign this")


def check_place(change: ChangeHeader, widenings: int) -> None:
    """Raise EntryVoid unless what widens comes right after what its signers knew of."""
    follows = change.follows
    if not is_widening(change):
        if not isinstance(follows, msgspec.UnsetType):
            raise EntryVoid("what only narrows is bound to no place")
        return
    if isinstance(follows, msgspec.UnsetType):
        raise EntryVoid("it doesn't say which change it follows: propose it again")
    if follows < widenings:
        raise EntryVoid("another change was published since this one was written: propose it again")
    if follows > widenings:
        raise EntryVoid("it follows a change that isn't in the register yet")


def is_widening(change: ChangeHeader) -> bool:
    """Return whether it counts among what widens; the charter is the first of these."""
    return change.kind == "charter" or change.kind in WIDENING_KINDS


def check_agreement(signed: SignedAgreement, *, is_part: bool = False) -> Agreement:
    """Return the agreement if the key that it names signed it, or raise WireError."""
    agreement = agreement_of(signed, is_part=is_part)
    key = unb64u(agreement.signing_key)
    load_p256(key)
    message = agreement_message(signed.agreement.encode())
    if not verify_p256(key, unb64u(signed.signature), message):
        raise EntryVoid("the agency didn't sign this agreement")
    return agreement


def parse_agreement(signed: SignedAgreement, *, origin: str, is_part: bool = False) -> Agreement:
    """Return an agreement that its agency signed for this log, or raise WireError."""
    agreement = check_agreement(signed, is_part=is_part)
    if agreement.origin != origin:
        raise EntryVoid("the agreement was made for another log")
    for one in agreement.sealing_keys:
        seal_to(unb64u(one), b"", b"")  # else a grant would fail once it is spent
    if not 0 < agreement.ends_ms - agreement.begins_ms <= MAX_AGREEMENT_MS:
        raise EntryVoid("an agreement holds for twelve months at most")
    return agreement


def check_charter(charter: Charter, *, is_example: bool) -> dict[str, Admin]:
    """Return the administrators of a charter that such a log may have, or raise EntryVoid."""
    if charter.is_example != is_example:
        raise EntryVoid(
            f'a log is an example if, and only if, its name begins with "{EXAMPLE_PREFIX}"'
        )
    if not is_example and not _keeps_the_rules(charter):
        raise EntryVoid("shorter delays or looser limits than the rules allow")
    return admins_by_id(charter.admins)


def check_charter_signers(
    charter: Charter, signatures: list[ChangeSignature], message: bytes, *, origin: str
) -> None:
    """Raise EntryVoid unless two of its administrators signed, and two of whom it succeeds.

    Whether those were the older register's, only who has it can say (succession.py).
    """
    own = {admin.id: admin.key for admin in charter.admins}
    old: dict[str, str] = {}
    if isinstance(charter.succeeds, Succession):
        if charter.succeeds.origin == origin:
            raise EntryVoid("a register doesn't succeed itself")
        old = {one: admin.key for one, admin in admins_by_id(charter.succeeds.by).items()}
    for one in own.keys() & old.keys():
        if own[one] != old[one]:
            raise EntryVoid(f"{one!r} has another key here than in the register that it succeeds")
    check_signers(signatures, message, keys=own | old, at_least=2)
    signed = {one.by for one in signatures}
    if len(signed & own.keys()) < 2:
        raise EntryVoid("2 administrators must sign this")
    if old and len(signed & old.keys()) < 2:
        raise EntryVoid("2 administrators of the register that it succeeds must sign this")


def _keeps_the_rules(charter: Charter) -> bool:
    """Return whether delays are as the rules say or longer, and limits as they are or stricter."""
    delays, rules = charter.delays, Delays()
    limits, most = charter.limits, Limits()
    return (
        delays.key_age_ms >= rules.key_age_ms
        and delays.agreement_age_ms >= rules.agreement_age_ms
        and delays.freshness_ms <= rules.freshness_ms
        and delays.slot_ms == rules.slot_ms
        and delays.batch_ms >= rules.batch_ms
        and limits.min_window_ms >= most.min_window_ms
        and limits.max_window_ms <= most.max_window_ms
        and limits.long_window_ms <= most.long_window_ms
        and limits.max_age_ms <= most.max_age_ms
        and limits.max_life_ms <= most.max_life_ms
        and limits.max_per_case <= most.max_per_case
        and limits.max_open_per_officer <= most.max_open_per_officer
        and limits.area_quiet_ms >= most.area_quiet_ms
    )
