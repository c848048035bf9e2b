"""The closed list of checks that refuse an owner's statement: what doorbells count by (R11).

Only these names can come into the public log; a relay counts any other as `OTHER`.
"""

from typing import Final, Literal, get_args

RefusedCheck = Literal[
    # a statement, and who signed it
    "form", "device", "owner", "assertion", "clock", "expired", "too_long", "spent",
    # the request that a grant is for
    "register", "request_unknown", "request_unseen", "request_withdrawn", "request_expired",
    "officer", "request_signature", "agency_refused", "agreement", "rules", "area",
    # the clips, and who could open them
    "clip_unknown", "clip_digest", "clip_range", "clip_window", "clip_repeated", "audio",
    "recipient", "revoked",
    # the last words
    "not_confirmed", "not_logged",
    # what else owners decide
    "already_owner", "browser", "hold", "settings", "setting_value", "setting_unknown", "approver",
    "last_owner", "recovery", "not_waiting", "newcomer", "right", "clip_held", "clip_kept",
    # what the memory card takes, keeps and gives back; that another device uses a copy of it
    "card", "card_until_restart", "card_spoilt", "card_cloned",
    # what the relay doesn't log or deliver, as it says
    "relay", "relay_limit", "relay_enrolled_late",
]  # fmt: skip
"""The name of the first check that failed."""

OTHER: Final = "other"
COUNTED_CHECKS: Final[frozenset[str]] = frozenset({*get_args(RefusedCheck), OTHER})
MAX_COUNTED = 100
"""Of one check, by one doorbell, in a quarter; more count as so many."""
