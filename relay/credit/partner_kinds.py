"""The kinds of partners."""

from typing import Literal

PartnerKind = Literal["city", "charity", "business"]
