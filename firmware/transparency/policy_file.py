"""Policy file: which two logs this doorbell follows, and which witnesses it trusts.

It comes with the firmware or is stored at set-up; it never comes from the relay. It names the
register's charter, so that no relay can begin the register with other administrators.
"""

from dataclasses import dataclass
from pathlib import Path

from firmware.errors import StoreError
from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.policy import CHARTER, Policy, parse_policy

REGISTER = "/register"
CUSTODY = "/custody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """A policy, and the origins of the town's two logs in it."""

    policy: Policy
    register_origin: str
    custody_origin: str


def load_logs(path: Path) -> Logs:
    """Read the policy file, or raise StoreError saying what is wrong with it."""
    try:
        return logs_of(parse_policy(path.read_bytes()))
    except OSError as error:
        raise StoreError(path, f"the log's policy can't be read ({error.strerror})") from error
    except WireError as error:
        raise StoreError(path, f"isn't a policy that this doorbell can follow: {error}") from error


def load_logs_if_any(path: Path) -> Logs | None:
    """Read the policy file if there is one; StoreError for one that can't be used."""
    return load_logs(path) if path.exists() else None


def logs_of(policy: Policy) -> Logs:
    """Return the one town that a policy names, or raise WireError."""
    names = {log.key.name for log in policy.logs}
    towns = {name.removesuffix(REGISTER) for name in names if name.endswith(REGISTER)}
    if len(towns) != 1:
        raise WireError(f'expected the key of one log whose name ends with "{REGISTER}"')
    (town,) = towns
    if names != {town + REGISTER, town + CUSTODY}:
        raise WireError(f'expected keys of "{town}{REGISTER}" and "{town}{CUSTODY}", no others')
    if policy.charter_of(town + REGISTER) is None:
        raise WireError(
            f"it doesn't name the charter of {town}{REGISTER} (a line {CHARTER}, which the relay's "
            "policy has since its charter was submitted)"
        )
    return Logs(policy=policy, register_origin=town + REGISTER, custody_origin=town + CUSTODY)
