"""Texts of refusals and problems of requests, in the reader's language.

There is one text for each name in `Rule` and `DeskRule`, `problem.NAME`, the same at hand-in and at
the form's check; `problem.NAME.FIELD` where a field of the form says it in other words,
`problem.NAME.void` where it says why a request that was passed isn't published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from firmware.protocol.register.rules import Rule
from relay.request.drafts import DraftRefused
from relay.request.form_checks import Problem
from relay.request.presets import PresetRefused
from relay.request.rules import DeskRule, RequestRefused
from relay.web.i18n import Texts

REFUSALS: Final[tuple[str, ...]] = (*get_args(Rule), *get_args(DeskRule))
"""The name of every refusal that officers meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """The stored reason why a request wasn't published; `said` is the register's, in English."""

    text: str
    said: str = ""


def problem_text(texts: Texts, problem: Problem, values: Mapping[str, object]) -> str:
    """Return the text of a field's problem; `values` are the limits."""
    own = f"problem.{problem.name}.{problem.field}"
    key = own if own in texts else f"problem.{problem.name}"
    return texts(key, **{**values, **problem.facts})


def refusal_text(
    texts: Texts,
    error: RequestRefused | DraftRefused | PresetRefused,
    values: Mapping[str, object],
) -> str:
    """Return the text of a refusal."""
    if isinstance(error, DraftRefused):
        return texts(f"problem.{error.reason}", **values)
    if isinstance(error, PresetRefused):
        return texts(f"problem.preset.{error.reason}", **values)
    return texts(f"problem.{error.name}", **{**values, "detail": str(error), **error.facts})


def why_void(texts: Texts, why: str, values: Mapping[str, object]) -> StopReason:
    """Return the text why a request wasn't published, from its stored reason."""
    if why not in REFUSALS:
        return StopReason(text=texts("problem.register.void"), said=why)
    void = f"problem.{why}.void"
    return StopReason(text=texts(void if void in texts else f"problem.{why}", **values))
