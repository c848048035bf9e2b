"""Texts of refusals and problems of requests, in the reader's language.

A rule's name is that of RequestRefused: its reason, and which of it. Texts are `problem.NAME`, and
`problem.NAME.FIELD` where a field of the form says it in other words. What no text is there for is
shown as the register says it, in English.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.request.drafts import DraftRefused
from relay.request.form_checks import Problem
from relay.request.rules import RequestRefused
from relay.web.i18n import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """The stored reason why a request wasn't published; `said` is English, for unknown reasons."""

    text: str
    said: str = ""


def problem_text(texts: Texts, problem: Problem, values: Mapping[str, object]) -> str:
    """Return the text of a field's problem; `values` are the limits."""
    for name in (f"{problem.name}.{problem.field}", problem.name, problem.reason):
        if f"problem.{name}" in texts:
            return texts(f"problem.{name}", **{**values, **problem.facts})
    return texts("problem.other", detail=problem.detail or problem.name)


def refusal_text(
    texts: Texts, error: RequestRefused | DraftRefused, values: Mapping[str, object]
) -> str:
    """Return the text of a refusal; empty if there is none."""
    if isinstance(error, DraftRefused):
        key = f"problem.{error.reason}"
        return texts(key, **values) if key in texts else ""
    for name in (error.name, error.reason):
        if f"problem.{name}" in texts:
            return texts(f"problem.{name}", **{**values, **error.facts})
    return ""


def why_void(texts: Texts, why: str, values: Mapping[str, object]) -> StopReason:
    """Return the text why a request wasn't published, from its stored reason."""
    for name in (why, why.partition(".")[0]):
        for key in (f"problem.{name}.void", f"problem.{name}"):
            if key in texts:
                return StopReason(text=texts(key, **values))
    return StopReason(text=texts("problem.register"), said=why)
