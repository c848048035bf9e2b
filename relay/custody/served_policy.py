"""The check of the policy that people are served: it names the register that they are shown.

A register can't name its policy, for the policy names the register: by SHA-256 of the first entry,
its charter. So the two are held together from that end.
"""

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.tlog.policy import CHARTER, parse_policy
from relay.custody.errors import PolicyUnbound
from relay.store import logs
from relay.store.database import Transaction


async def check_served_policy(tx: Transaction, policy: bytes, *, origin: str) -> None:
    """Raise PolicyUnbound unless a policy names the charter of this relay's register, if any."""
    first = await logs.entries(tx, "register", 0, 1)
    if not first:
        return
    charter = sha256_hex(first[0])
    try:
        named = parse_policy(policy).charter_of(origin)
    except WireError as error:
        raise PolicyUnbound(f"the policy of this relay can't be read: {error}") from error
    if named != charter:
        found = "names none" if named is None else f"names {named}"
        raise PolicyUnbound(
            f"the policy of this relay {found}, not the charter that the register begins with: "
            f"its line is to be {CHARTER} {origin} {charter}"
        )
