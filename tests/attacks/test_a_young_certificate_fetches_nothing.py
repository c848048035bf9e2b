"""A certificate that an agency's stolen key made today fetches no evidence before the world saw it.

R17: a key counts once outside witnesses have seen it for three days. Till then the agency can find
it in the register, and take it back.
"""

from pathlib import Path

from msgspec.structs import replace

from firmware.protocol.custody import DownloadLeaf
from tests.fakes.record import recorded
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.register_town import QUICK

AGE_MS = 3 * DAY_MS


async def published_by(world: World) -> str:
    """Return a request that an officer of three days has published."""
    officer = await certified_officer(world)
    world.clock.advance(AGE_MS / 1000)
    for one in (officer, officer.partner):
        assert one is not None
        await one.log_in()
        await one.take_csrf()
    draft = officer.sign(officer.write())
    assert (await officer.publish(draft)).is_success
    return id_of(draft)


async def newcomer(world: World) -> Officer:
    """Return somebody whom the agency's key has certified just now."""
    officer = Officer(world, "Officer Mole")
    await officer.register()
    await officer.get_certified()
    await officer.take_csrf()
    return officer


async def test_a_certificate_of_today_downloads_in_three_days(tmp_path: Path) -> None:
    """Seen to be given the address at once with `is_counted` taken from the download's rule."""
    delays = replace(QUICK, key_age_ms=AGE_MS)
    async with open_world(tmp_path, delays=delays) as world:
        request_id = await published_by(world)
        package_id = await deliver_package(world, request_id)
        path, mole = f"/agency/evidence/{package_id}", await newcomer(world)
        refused = await mole.http.post(f"{path}/download")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_yet")
        assert "it counts from 20" in refused.json()["error"]["message"]
        page = (await mole.http.get(path)).text
        assert 'id="waits"' in page
        assert "It counts from" in page
        assert 'id="save"' not in page
        logged = await recorded(world.database)
        assert not [one for one in logged if isinstance(one, DownloadLeaf)]
        world.clock.advance(AGE_MS / 1000)
        await mole.log_in()
        await mole.take_csrf()
        assert (await mole.http.post(f"{path}/download")).is_success
        assert 'id="save"' in (await mole.http.get(path)).text
