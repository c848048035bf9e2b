"""What `doorward-relay check` found out about one part."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One part, whether it is well, and what was seen or what to do."""

    what: str
    is_ok: bool
    detail: str
    is_warning: bool = False
