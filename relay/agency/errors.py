"""Errors of agency onboarding that pages show as text.

OnboardingRefused   what was handed in, or what is to be done with it, can't be
└── AreaRefused     an area can't be a jurisdiction
"""

from relay.errors import RelayError


class OnboardingRefused(RelayError):
    """An onboarding step is refused; `reason` is a word for pages, `facts` fill in their texts."""

    def __init__(self, reason: str, detail: str, **facts: str | int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.facts = facts


class AreaRefused(OnboardingRefused):
    """An area can't be a jurisdiction."""

    def __init__(self, reason: str, detail: str, **facts: str | int) -> None:
        super().__init__(f"area_{reason}", detail, **facts)
