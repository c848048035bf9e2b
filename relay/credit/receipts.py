"""The receipt of an issued doorbell: a text in both languages, whose digest is in the ledger."""

from dataclasses import dataclass

from firmware.protocol.encoding import sha256_hex
from relay.credit.terms import TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt; its random `salt` keeps its digest from telling who has it."""

    list_name: str
    list_sha256: str
    recipient: int
    month: str
    salt: str

    @property
    def text(self) -> str:
        """The receipt as it is printed; it names nobody, and no place."""
        return (
            f"Receipt for one doorbell\n\n{TERMS.en}\n\n"
            f"Kvitto på en dörrklocka\n\n{TERMS.sv}\n\n"
            f"Month, månad: {self.month}\n"
            f"Recipient, mottagare: number {self.recipient} of list {self.list_name}\n"
            f"List's file, SHA-256: {self.list_sha256}\n"
            f"Terms, villkor, SHA-256: {TERMS.digest()}\n"
            f"Random number: {self.salt}\n\n"
            "The public ledger has the SHA-256 of this file. "
            "Den offentliga huvudboken har SHA-256 av den här filen.\n"
        )

    @property
    def sha256(self) -> str:
        """The digest of the text in UTF-8."""
        return sha256_hex(self.text.encode())
