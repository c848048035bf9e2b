"""The result of one check of `doorward-relay check`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One checked part: its name, whether it is well, and a sentence on the result or remedy."""

    what: str
    is_ok: bool
    detail: str
    is_warning: bool = False
