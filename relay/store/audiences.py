"""What an account may hear, in one statement: its doorbells, passkeys, and rights as a guest."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Text, bindparam, cast, literal_column, null, select, union_all

from relay.store.database import Snapshot
from relay.store.guests import GuestRow
from relay.store.schema import account_doorbells, credentials, doorbells, guests

_NO_TEXT, _NO_NUMBER = cast(null(), Text), cast(null(), BigInteger)
_ACCOUNT = bindparam("account_id", type_=Text)
_NOT_REVOKED = doorbells.c.revoked_ms.is_(None)
_RIGHTS = union_all(
    select(
        literal_column("'own'").label("part"),
        doorbells.c.device.label("name"),
        *(_NO_TEXT.label("browser"), _NO_TEXT.label("what")),
        *(_NO_NUMBER.label("since_seq"), _NO_NUMBER.label("until_ms")),
    )
    .join(account_doorbells, account_doorbells.c.device == doorbells.c.device)
    .where(account_doorbells.c.account_id == _ACCOUNT, _NOT_REVOKED),
    select(
        literal_column("'passkey'"),
        credentials.c.credential_id,
        *(_NO_TEXT, _NO_TEXT, _NO_NUMBER, _NO_NUMBER),
    ).where(credentials.c.account_id == _ACCOUNT),
    select(
        literal_column("'guest'"),
        guests.c.device,
        *(guests.c.browser, guests.c.what, guests.c.since_seq, guests.c.until_ms),
    )
    .join(doorbells, doorbells.c.device == guests.c.device)
    .where(guests.c.account_id == _ACCOUNT, guests.c.until_ms > bindparam("now"), _NOT_REVOKED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """An account's rights now. At its own doorbells it is no guest."""

    own: frozenset[str]
    credential_ids: frozenset[str]
    guests: tuple[GuestRow, ...]


def rights_in(snapshot: Snapshot, account_id: str, *, now_ms: int) -> Rights:
    """Return an account's rights."""
    own, credential_ids, seen = set[str](), set[str](), list[GuestRow]()
    for part, name, browser, what, since_seq, until_ms in snapshot.execute(
        _RIGHTS, {"account_id": account_id, "now": now_ms}
    ):
        match part:
            case "own":
                own.add(name)
            case "passkey":
                credential_ids.add(name)
            case _:
                seen.append(
                    GuestRow(
                        account_id=account_id,
                        device=name,
                        browser=browser,
                        what=tuple(what.split()),
                        since_seq=since_seq,
                        until_ms=until_ms,
                    )
                )
    return Rights(
        own=frozenset(own),
        credential_ids=frozenset(credential_ids),
        guests=tuple(
            sorted(
                (one for one in seen if one.device not in own),
                key=lambda one: (one.device, one.browser),
            )
        ),
    )
