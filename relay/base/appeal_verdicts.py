"""The two verdicts on an appeal, of requests and of posts alike."""

from typing import Literal

AppealVerdict = Literal["upheld", "overturned"]
NO_VERDICT = "an appeal is upheld or overturned"


def verdict_of(text: str) -> AppealVerdict | None:
    """Return the verdict that a form names, None for any other text."""
    if text == "upheld":
        return "upheld"
    if text == "overturned":
        return "overturned"
    return None
