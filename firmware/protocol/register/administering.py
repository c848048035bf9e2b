"""Who may change a register: its administrators, and what its charter may say. Pure."""

from firmware.protocol.encoding import unb64u
from firmware.protocol.passkeys import load_p256, verify_p256
from firmware.protocol.register.entries import (
    Admin,
    ChangeSignature,
    Charter,
    Delays,
    Limits,
)
from firmware.protocol.register.records import EntryVoid


def admins_by_id(admins: list[Admin]) -> dict[str, Admin]:
    """Return the administrators by id, or raise EntryVoid: each has an id and a key alone."""
    for admin in admins:
        load_p256(unb64u(admin.key))
    by_id = {admin.id: admin for admin in admins}
    if len(by_id) != len(admins) or len({admin.key for admin in admins}) != len(admins):
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


def keeps_the_rules(charter: Charter) -> bool:
    """Tell whether delays are as the rules say or longer, and limits as they are or stricter."""
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
