"""Legal process served on the relay's operator: its kinds, and what it can yield (R16)."""

from typing import Literal

LegalKind = Literal["subpoena", "court_order", "search_warrant", "other"]
LegalYield = Literal["nothing", "account_metadata", "sealed_blobs"]
FeedYield = Literal["nothing", "account_metadata", "posts"]
"""What process about the neighbours' feed can yield; it is counted apart."""
