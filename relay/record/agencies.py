"""The public record's agencies: those whose agreement witnesses have seen. Pure."""

from collections.abc import Iterable

from relay.agency.agencies import Agency, agency_of
from relay.record.public_record import RecordView


def find_agency(view: RecordView, agency_id: str) -> Agency | None:
    """Return one agency, if its agreement is public by now."""
    facts = view.register.facts.agreements.get(agency_id, ())
    if not facts or facts[0].seen_ms is None:
        return None
    return agency_of(view.register, agency_id)


def list_agencies(view: RecordView) -> list[Agency]:
    """Return all public agencies by name."""
    found = [find_agency(view, agency_id) for agency_id in view.register.facts.agreements]
    return sorted(
        (agency for agency in found if agency is not None),
        key=lambda agency: (agency.name.casefold(), agency.id),
    )


def agencies_named(agencies: Iterable[Agency], text: str) -> list[Agency]:
    """Return the agencies that match a text: one by whole id or name, else all that contain it."""
    asked, found = text.casefold(), list(agencies)
    exactly = [one for one in found if one.id == text] or [
        one for one in found if one.name.casefold() == asked
    ]
    return exactly or [one for one in found if asked in one.name.casefold() or asked in one.id]


def agencies_by_id(view: RecordView) -> dict[str, Agency]:
    """Return agencies by id, in the same order."""
    return {agency.id: agency for agency in list_agencies(view)}
