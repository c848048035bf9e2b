"""Statements signed by an owner's passkey here: renewal of this machine, a newcomer, a key.

Each statement is sealed to the key whose words were compared at pairing, so the relay carries it
and can't read it. What lets somebody in, or confirm, waits for the doorbell's own word (R10c).
"""

from firmware.companion.owner.account import Account
from firmware.companion.owner.approval import Terminal
from firmware.companion.owner.errors import OwnerError
from firmware.companion.owner.owner_passkey import OwnerPasskey
from firmware.companion.owner.pairing import PairedDoorbell
from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import AddApprover, GiveRight
from firmware.protocol.encoding import WireError, new_id, sha256_hex, unb64u
from firmware.protocol.grants import (
    STATEMENT_TAG,
    AddOwner,
    SignedStatement,
    Statement,
    Terms,
    seal_statement,
)
from firmware.protocol.owner_codes import ApproverCode
from firmware.protocol.pairing import parse_reveal
from firmware.protocol.passkeys import challenge
from firmware.protocol.plain_text import plain
from firmware.protocol.rights import OWNERS_WHAT, SELF_RENEWED_MS

STATEMENT_LIFE_MS = 3600 * 1000


def renew(
    account: Account,
    passkey: OwnerPasskey,
    paired: PairedDoorbell,
    browser: BrowserKeys,
    *,
    now_ms: int,
) -> str:
    """Sign that this machine's keys count for 30 days from now; return the statement's digest.

    Raises AccountFailed or KeyRefused.
    """
    right = GiveRight(
        browser=browser,
        holder="owner",
        what=list(OWNERS_WHAT),
        from_ms=0,
        until_ms=now_ms + SELF_RENEWED_MS,
    )
    return send(account, passkey, paired, right, now_ms)


def add_key(
    account: Account,
    passkey: OwnerPasskey,
    paired: PairedDoorbell,
    code: ApproverCode,
    *,
    now_ms: int,
) -> str:
    """Sign that a key may confirm this owner's statements; return the statement's digest.

    Raises AccountFailed or KeyRefused.
    """
    return send(account, passkey, paired, AddApprover(name=code.name, key=code.key), now_ms)


def let_in(
    account: Account,
    passkey: OwnerPasskey,
    paired: PairedDoorbell,
    terminal: Terminal,
    *,
    now_ms: int,
) -> dict[str, str]:
    """Ask about each who wants to be an owner too; return whom was signed for, by name.

    The names stand under the digests of the statements.

    Raises AccountFailed, KeyRefused or OwnerError. The commitment is computed here, over the very
    keys that are signed: a relay that swaps them has the doorbell show other words than the
    newcomer's own app wants.
    """
    signed = {}
    for join in account.joins():
        if join.device != paired.device:
            continue
        try:
            reveal = parse_reveal(join.reveal)
        except WireError as error:
            raise OwnerError(f"somebody wants in with keys that can't be used: {error}") from error
        owner = reveal.owner
        terminal.say(
            f"“{plain(owner.name)}” wants to be an owner: to see, hear and decide all that you do. "
            "If you sign, the doorbell's own page shows four words: read them to the newcomer, "
            "whose own app says whether they are right."
        )
        if terminal.ask("Let them in? (yes/no) ").strip().lower() == "yes":
            terms = AddOwner(
                pairing_id=reveal.pairing_id, owner=owner, commitment=reveal.code.commitment
            )
            signed[send(account, passkey, paired, terms, now_ms)] = owner.name
    return signed


def send(
    account: Account,
    passkey: OwnerPasskey,
    paired: PairedDoorbell,
    terms: Terms,
    now_ms: int,
    *,
    life_ms: int = STATEMENT_LIFE_MS,
) -> str:
    """Sign, seal and send one statement; return its digest. AccountFailed or KeyRefused."""
    text = Statement(
        device=paired.device,
        nonce=new_id(),
        not_after_ms=now_ms + life_ms,
        terms=terms,
    ).encode()
    signed = SignedStatement(
        statement=text.decode(), assertion=passkey.sign(challenge(STATEMENT_TAG, text))
    )
    account.send_statement(paired.device, seal_statement(signed, unb64u(paired.sealing_key)))
    return sha256_hex(text)
