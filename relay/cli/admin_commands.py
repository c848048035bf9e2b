"""The commands `doorward-relay admin …` that use the relay's register and its texts."""

from pathlib import Path

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.register.change_rules import check_agreement
from firmware.protocol.register.changes import parse_header
from firmware.protocol.register.entries import Agreement, AgreementMade, ChangeLeaf
from firmware.protocol.register.replay import Register
from relay.agency.agencies import agreed_digests
from relay.agency.changes import ChangeRefused, ProposedChange
from relay.agency.merged_cells import check_own_merging
from relay.agency.register import RegisterService
from relay.cli.register import with_register
from relay.config.settings import Config
from relay.custody.keys import name_charter
from relay.store import requests
from relay.store.database import Database
from relay.verify.file_reader import read_document, read_small


async def submit(config: Config, path: Path) -> str | None:
    """Add a change to the register, with its texts; RelayError if it would have no effect.

    A charter is also named in the relay's policy, the file that everybody else trusts, too: return
    that line.
    """
    leaf, key, texts, agreement = _leaf_of(path)

    async def add(database: Database, register: RegisterService) -> None:
        async with database.begin() as tx:
            if agreement is not None:
                check_own_merging(agreement, await register.replayed(tx))
            await register.add(tx, leaf, key=key)
            for text in texts:
                await requests.put_agreement_text(tx, sha256_hex(text.encode()), text)

    await with_register(config, add)
    header = parse_header(leaf.change)
    if header.kind != "charter" or config.log is None:
        return None
    first = Register(header.origin).next_entry(leaf)
    return name_charter(config.log.policy_path, header.origin, sha256_hex(first))


async def restore_text(config: Config, path: Path) -> str:
    """Store an agreement's text anew; return its SHA-256, which the register has to name."""
    try:
        text = read_small(path).decode()
    except UnicodeDecodeError as error:
        raise ChangeRefused(f"{path} isn't text in UTF-8") from error
    sha256 = sha256_hex(text.encode())

    async def put(database: Database, register: RegisterService) -> None:
        async with database.begin() as tx:
            if sha256 not in agreed_digests(await register.replayed(tx)):
                raise ChangeRefused(
                    f"no agreement in the register names this text: its SHA-256 is {sha256}"
                )
            await requests.put_agreement_text(tx, sha256, text)

    await with_register(config, put)
    return sha256


async def widenings(config: Config) -> int:
    """Return the number of widening changes in the register."""
    return await with_register(config, lambda _, register: register.widenings())


def _leaf_of(path: Path) -> tuple[ChangeLeaf, str, list[str], Agreement | None]:
    """Return the entry's body of a change or of an agency's own revocation, its key, its texts, and
    the agreement that it is of."""
    try:
        proposed = read_document(ProposedChange, path)
    except ValueError:
        leaf = read_document(ChangeLeaf, path)
        proposed = ProposedChange(
            change=leaf.change, content=leaf.content, area=leaf.area, signatures=leaf.signatures
        )
    change = proposed.parsed()
    body = change.body
    texts, agreement = [], None
    if isinstance(body, AgreementMade):
        agreement = check_agreement(body.signed)
        if sha256_hex(proposed.text.encode()) != agreement.text_sha256:
            raise ChangeRefused("the agreement's text isn't in this file, or is another one")
        texts = [proposed.text]
    return proposed.leaf(), f"change/{change.nonce}", texts, agreement
