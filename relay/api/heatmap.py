"""Reports of taken parcels, for the theft map: list, make and take back one's own."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import Owner, Services
from relay.base.months import MONTH_PATTERN

router = APIRouter()

Cell = Annotated[str, Field(pattern="^[0-9a-f]{15}$")]
Month = Annotated[str, Field(pattern=MONTH_PATTERN)]


class TheftReportIn(BaseModel):
    """A report: a map cell (H3, resolution 8) and a month in which a parcel was taken there."""

    model_config = ConfigDict(extra="forbid")

    cell: Cell
    month: Month


class OwnReportOut(BaseModel):
    """One of the caller's reports."""

    cell: str
    month: str


class OpenMonthOut(BaseModel):
    """A month that isn't published; until then reports are made and taken back."""

    month: str
    until_ms: int


class OwnReportsOut(BaseModel):
    """The caller's reports that aren't published, and the open months, both newest first."""

    reports: list[OwnReportOut]
    months: list[OpenMonthOut]


@router.get("/theft-reports")
async def list_reports(services: Services, owner: Owner) -> OwnReportsOut:
    """Return the caller's own reports."""
    found = await services.theft_reports.list_own(owner)
    return OwnReportsOut(
        reports=[OwnReportOut(cell=one.cell, month=one.month) for one in found.reports],
        months=[OpenMonthOut(month=one.month, until_ms=one.until_ms) for one in found.months],
    )


@router.post("/theft-reports", status_code=204)
async def report(services: Services, owner: Owner, body: TheftReportIn) -> Response:
    """Report that a parcel was taken; the same report once more is answered as the first."""
    await services.theft_reports.report(owner, cell=body.cell, month=body.month)
    return Response(status_code=204)


@router.delete("/theft-reports/{month}/{cell}", status_code=204)
async def take_back(services: Services, owner: Owner, month: Month, cell: Cell) -> Response:
    """Take a report back; one that isn't there is answered alike."""
    await services.theft_reports.take_back(owner, cell=cell, month=month)
    return Response(status_code=204)
