"""Checks of a form before signing: the desk's refusals, field by field (R1–R5).

It asks the very functions that the desk and the register ask (rules.py and the protocol's), so
that the form can't promise what they refuse. Where these stop at the first thing that is wrong,
they are asked again about the rest. Nothing here counts as a check: the desk makes its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as field_of
from functools import partial
from typing import Any, Literal, get_type_hints

import msgspec
import msgspec.structs

from firmware.protocol.encoding import new_id
from firmware.protocol.register.entries import Limits
from firmware.protocol.register.rules import RuleBroken, check_area, check_limits
from firmware.protocol.requests import EvidenceRequest
from relay.agency.agencies import agency_of, standing_of
from relay.agency.register import RegisterView, RelayRegister
from relay.request.agreed_text import require_agreed_text
from relay.request.drafts import DraftForm
from relay.request.hints import Hint, hints_on
from relay.request.outcomes import require_outcomes
from relay.request.rules import (
    RefusalName,
    RequestRefused,
    check_cosigner,
    check_counts,
    check_times,
    fields_citing_theft_map,
    require_agreement,
    require_standing,
)
from relay.request.service import is_queue_full
from relay.store import requests
from relay.store.database import Database
from relay.store.people import Account

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
_TYPES = get_type_hints(EvidenceRequest, include_extras=True)
_FIELD_OF = {
    "life": "form", "window": "to", "future": "to", "age": "from", "reason": "reason",
    "area": "cells", "area_quiet": "cells", "case_limit": "case_number", "open_limit": "form",
    "emergency": "danger", "cosigner": "cosigner",
}  # fmt: skip
"""Where a refusal stands in the form, by its reason; elsewhere at its head."""
FormProblem = Literal["missing", "malformed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A field's problem: its name, as of a refusal, and the facts in its text."""

    field: str
    name: RefusalName | FormProblem
    facts: Mapping[str, object] = field_of(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormReport:
    """The result of a check: problems prevent signing, hints don't."""

    problems: list[Problem]
    hints: list[Hint]


@dataclass(slots=True)
class _Found:
    """The first problem of each field."""

    by_field: dict[str, Problem] = field_of(default_factory=dict)

    def add(self, where: str, name: RefusalName | FormProblem) -> None:
        self.take(Problem(field=where, name=name))

    def take(self, problem: Problem) -> None:
        self.by_field.setdefault(problem.field, problem)


class FormChecker:
    """Checks forms of signed-in officers."""

    def __init__(self, database: Database, register: RelayRegister) -> None:
        self._database = database
        self._register = register

    async def check(self, officer: Account, form: DraftForm, *, seen_by: str | None) -> FormReport:
        """Return a form's problems and hints.

        With `seen_by`, an account, what colleagues have on the desk isn't told of, in no way: see
        Desk.list_rows.
        """
        view = await self._register.view()
        async with self._database.read() as tx:
            on_desk = await requests.list_pending(tx, officer.agency or "", view.now_ms)
            seen = [row.request for row in on_desk if row.is_seen_by(seen_by)]
            problems = check_form(form, officer, view, seen)
            agency = agency_of(view, officer.agency or "")
            try:
                if agency is not None and agency.state == "in_force":
                    await require_agreed_text(tx, agency)
                await require_outcomes(tx, view, officer.agency or "")
            except RequestRefused as error:
                problems.append(_problem(error, field="form"))
        if is_queue_full(on_desk, officer):
            problems.append(Problem(field="form", name="open_limit.desk"))
        written = {"text": form.text, "reason": form.reason, "danger": form.danger}
        return FormReport(problems=problems, hints=hints_on(written))


def check_form(
    form: DraftForm, officer: Account, view: RegisterView, pending: Sequence[EvidenceRequest] = ()
) -> list[Problem]:
    """Return a form's problems, one a field, the form's own first.

    `pending` is what of the agency's lies on the desk.
    """
    found = _Found()
    request = _request_of(form, officer, view, found)
    for problem in _refusals(request, view, pending):
        found.take(problem)
    return sorted(found.by_field.values(), key=lambda problem: problem.field != "form")


def limit_values(limits: Limits) -> dict[str, int]:
    """Return the limits by their names in the problems' texts."""
    return {
        "min_minutes": limits.min_window_ms // MINUTE_MS,
        "max_hours": limits.max_window_ms // HOUR_MS,
        "long_hours": limits.long_window_ms // HOUR_MS,
        "max_days": limits.max_age_ms // (24 * HOUR_MS),
        "max_cells": limits.max_cells,
        "max_per_case": limits.max_per_case,
        "max_open": limits.max_open_per_officer,
        "quiet_hours": limits.area_quiet_ms // HOUR_MS,
    }


def _request_of(
    form: DraftForm, officer: Account, view: RegisterView, found: _Found
) -> EvidenceRequest:
    """Return the form's request; a missing field gets a placeholder, and is noted as a problem."""
    limits, now_ms = view.facts.limits, view.now_ms
    cosigner = standing_of(view, officer.agency or "", form.cosigner_id)
    end_ms = form.to_ms if form.to_ms is not None else now_ms - MINUTE_MS
    stand_ins: dict[str, tuple[str, object, object]] = {
        "case_number": ("case_number", form.case_number, "0"),
        "incident_type": ("incident_type", form.incident_type, "theft"),
        "text": ("text", form.text, "-"),
        "contact": ("contact", form.contact, "-"),
        "from_ms": ("from", form.from_ms, max(0, end_ms - limits.min_window_ms)),
        "to_ms": ("to", form.to_ms, end_ms),
        "retention_days": ("retention_days", form.retention_days, 1),
        "onward_sharing": ("onward_sharing", form.onward_sharing, "none"),
        "reason": ("reason", form.reason, ""),
        "danger": ("danger", form.danger, ""),
    }
    fields: dict[str, Any] = {}  # Any: what msgspec checks
    for name, (where, value, stand_in) in stand_ins.items():
        fields[name] = _valid(name, where, value, stand_in, found)
    if not form.cosigner_id:
        found.add("cosigner", "missing")
    return EvidenceRequest(
        id=new_id(),
        agency=officer.agency or "",
        officer_id=officer.id,
        officer_name=officer.name,
        cosigner_id=form.cosigner_id,
        cosigner_name=cosigner.name,
        cells=_cells_of(form, view, found),
        created_ms=now_ms,
        expires_ms=now_ms + limits.max_life_ms,
        **fields,
    )


def _valid(name: str, where: str, value: object, stand_in: object, found: _Found) -> object:
    """Return a field's value if the protocol accepts it, else a placeholder."""
    if value is None or value == "":
        if name not in ("reason", "danger"):
            found.add(where, "missing")
        return stand_in
    try:
        msgspec.convert(value, _TYPES[name])
    except msgspec.ValidationError:
        found.add(where, "malformed")
        return stand_in
    return value


def _cells_of(form: DraftForm, view: RegisterView, found: _Found) -> list[str]:
    if not form.cells:
        found.add("cells", "missing")
    elif len(form.cells) > view.facts.limits.max_cells:
        found.add("cells", "area.many")
    return list(form.cells)


def _refusals(
    request: EvidenceRequest, view: RegisterView, pending: Sequence[EvidenceRequest]
) -> Iterator[Problem]:
    """Yield each rule's refusal, independently of the others."""
    agency_id = request.agency
    for may in (
        lambda: require_agreement(view, agency_id),
        lambda: require_standing(view, agency_id, request.officer_id),
    ):
        problem = _asked(may)
        if problem is not None:
            yield replace(problem, field="form")
    limits = view.facts.limits
    calm = _calm(request, view)  # what was wrong with its times hides what is with its area
    for rule in (
        lambda: check_cosigner(request, view),
        lambda: check_times(request, view.now_ms),
        lambda: check_limits(request, limits),
        lambda: check_limits(calm, limits),
        lambda: _check_area(request, view),
    ):
        yield from _kept(_asked(rule))
    for field in fields_citing_theft_map(request):
        yield Problem(field=field, name="grounds.theft_map")
    yield from _counts(request, view, pending)


def _check_area(request: EvidenceRequest, view: RegisterView) -> None:
    agency = agency_of(view, request.agency)
    if agency is not None:
        check_area(request.cells, agency.agreement)


def _counts(
    request: EvidenceRequest, view: RegisterView, pending: Sequence[EvidenceRequest]
) -> Iterator[Problem]:
    """Yield the exceeded counts: the register stops at the first one, in this order."""
    without_case = msgspec.structs.replace(request, case_number="-" * 24)
    without_officer = msgspec.structs.replace(without_case, officer_id=new_id())
    for asked in (request, without_case, without_officer):
        yield from _kept(_asked(partial(check_counts, asked, view, pending)))


def _calm(request: EvidenceRequest, view: RegisterView) -> EvidenceRequest:
    """Return the same request with a time span that every rule allows."""
    to_ms = view.now_ms - MINUTE_MS
    from_ms = to_ms - view.facts.limits.min_window_ms
    return msgspec.structs.replace(request, from_ms=from_ms, to_ms=to_ms, reason="", danger="")


def _asked(rule: Callable[[], object]) -> Problem | None:
    """Return a rule's refusal."""
    try:
        rule()
    except RuleBroken as error:
        where = _FIELD_OF.get(error.rule.partition(".")[0], "form")
        return Problem(field=where, name=error.rule)
    except RequestRefused as error:
        return _problem(error, field=_FIELD_OF.get(error.reason, "form"))
    return None


def _problem(error: RequestRefused, *, field: str) -> Problem:
    return Problem(field=field, name=error.name, facts={"detail": str(error), **error.facts})


def _kept(problem: Problem | None) -> Iterator[Problem]:
    if problem is not None:
        yield problem
