"""What lies behind a town that opens: example data, made as people make it, with its clock wound.

One request ended and its outcome was filed, one was withdrawn, a moderator refused one; then six
weeks may go by (six_weeks.py). A new version of an agreement waits until it counts.
"""

from collections.abc import Callable

from tests.story.api import ask_until
from tests.story.clock import TownHand
from tests.story.commands import run_all
from tests.story.officer import Officer
from tests.story.register import agreement_commands, pass_command, refuse_command
from tests.story.settings import Settings
from tests.story.six_weeks import live_six_weeks

CELL = "89441a5ac47ffff"
PARCELS = "Two parcels were taken from porches in this street. Did your doorbell see who came by?"
SCOOTER = "A scooter was taken, and found again since. Did your doorbell see who rode it?"
CROWD = "People gathered in the park this afternoon. Did your doorbell see who went there?"


async def make_history(
    settings: Settings,
    hand: TownHand,
    officer: Officer,
    cosigner: Officer,
    *,
    agency: tuple[str, tuple[str, ...]],
    note: Callable[[str], None],
) -> str:
    """Make it; return in a few words what there is now.

    `agency` is its full name and cells, and `note` is told how far it is.
    """
    ended, withdrawn, refused = [
        await officer.draft_request(cosigner, cells=[CELL], case_number=case, text=text)
        for case, text in (("LPD-1101", PARCELS), ("LPD-1102", SCOOTER), ("LPD-1103", CROWD))
    ]
    for request in (ended, withdrawn, refused):
        await cosigner.cosign_request(request.id)
    name, cells = agency
    reason = "The park is a place of assembly, and the request is about who was there."
    keys = settings.agency_key.parent
    next_agreement = agreement_commands(settings, keys, name, cells, version=2)
    await run_all(
        pass_command(settings, ended.id),
        pass_command(settings, withdrawn.id),
        refuse_command(settings, refused.id, "assembly", reason),
        *(() if settings.has_six_weeks else next_agreement),
    )
    await hand.to_next_batch()
    for request in (ended, withdrawn):
        await officer.wait_until_open(request.id)
    await officer.withdraw(withdrawn)
    await hand.wind("day")
    for one in (officer, cosigner):
        await one.log_in()
    await officer.file_outcome(ended, "not_used", private_text="Nothing arrived that helped.")
    if settings.has_six_weeks:
        await officer.file_outcome(withdrawn, "not_used")
    await hand.to_next_batch()
    await ask_until(
        "the request has ended",
        lambda: officer.request_state(ended.id),
        lambda state: state == "expired",
        timeout_s=15.0,
    )
    if not settings.has_six_weeks:
        return (
            "requests that ended, were withdrawn and refused; an outcome; "
            "an agreement's next version"
        )
    told = await live_six_weeks(settings, hand, officer, cosigner, cells, note=note)
    await run_all(*next_agreement)
    await hand.to_next_batch()
    return f"{told}; an agreement's next version"
