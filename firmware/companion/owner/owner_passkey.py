"""The interface of owners' passkeys for `doorward pair`: `key_file.py`, `fido_key.py`."""

from typing import Protocol

from firmware.companion.authenticator.passkey import Attested, CreationWanted
from firmware.protocol.passkeys import Assertion, PasskeyKey


class OwnerPasskey(Protocol):
    """One owner's passkey."""

    @property
    def key(self) -> PasskeyKey | None:
        """Its public half; None: it is still to be made."""
        ...

    def attest(self, wanted: CreationWanted) -> Attested:
        """Make it if need be, and say what a relay registers; KeyRefused. Not on a loop."""
        ...

    def sign(self, challenge: bytes) -> Assertion:
        """Sign, or raise KeyRefused. May wait for a touch: not on a loop."""
        ...
