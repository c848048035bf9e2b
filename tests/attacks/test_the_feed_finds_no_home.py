"""Whoever reads all that the relay keeps of a member, its logs included, doesn't find their home.

A member's whole use of the feed is played. The finest that is kept of a place is a post's cell of
resolution 8, which holds about seven cells of the size in which agencies ask, and a district.
"""

import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import h3
import pytest
from PIL import Image

from relay.base.log_lines import answers_log
from tests.relay.admin_people import signed_in_admin
from tests.relay.databases import all_stored
from tests.relay.feed_people import CELL, DISTRICT, member, posts, upload, waiting_post, write
from tests.relay.http_people import Owner
from tests.relay.http_world import API, HOUR_MS, World, open_world
from tests.story.town import DOORBELL_CELL

GPS_IFD, LATITUDE, LONGITUDE = 0x8825, 2, 4
CLIENT = "httpx2"
"""The logger of the member's own client, which is on their own machine."""
FINEST = 12
"""Cells of this resolution are smaller than a flat."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def home() -> tuple[float, float]:
    """Return latitude and longitude of the member's own door."""
    lat, lon = h3.cell_to_latlng(DOORBELL_CELL)
    return float(lat), float(lon)


def photo() -> bytes:
    """Return a phone's picture, which says where it was taken."""
    lat, lon = home()
    exif = Image.Exif()
    place = exif.get_ifd(GPS_IFD)
    place[LATITUDE], place[LONGITUDE] = _degrees(lat), _degrees(-lon)
    place[1], place[3] = "N", "W"
    file = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(
        file, "JPEG", exif=exif.tobytes(), comment=f"at {lat:.4f}, {lon:.4f}".encode()
    )
    return file.getvalue()


def _degrees(value: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(value * 3600, 60)
    degrees, minutes = divmod(minutes, 60)
    return degrees, minutes, round(seconds, 2)


def traces() -> list[bytes]:
    """Return how a place finer than the district's cells could be written."""
    lat, lon = home()
    cells = [h3.latlng_to_cell(lat, lon, resolution) for resolution in range(9, FINEST + 1)]
    cells += h3.cell_to_children(CELL, 9)
    numbers = [str(h3.str_to_int(cell)) for cell in cells]
    degrees = [f"{abs(value):.3f}" for value in (lat, lon)]
    return [one.encode() for one in (*cells, *numbers, *degrees)]


async def use_all(world: World) -> Owner:
    """Play a member's use: join, read, show pictures, write, withdraw, appeal, leave and return."""
    ada, mia = await member(world), await signed_in_admin(world)
    bo = await signed_in_admin(world, "Bo Ek")
    await ada.put("/feed/membership", {"district": DISTRICT, "follows": ["safety"]})
    await ada.get("/feed/districts")
    pictures = [(await upload(ada, photo())).json()["id"] for _ in range(2)]
    shown = await waiting_post(ada, pictures=pictures[:1])
    refused = await waiting_post(ada, pictures=pictures[1:])
    await mia.send(f"/feed/{shown}/decision", verdict="published")
    await mia.send(f"/feed/{refused}/decision", verdict="refused", reason="no_act")
    await ada.post(f"/feed/posts/{refused}/appeal", {"text": "It says what was taken."})
    await bo.send(f"/feed/{refused}/appeal", verdict="upheld", words="It doesn't.")
    # A page that was bent, or an app with a mistake, sends a finer place; and a cell of its own.
    await write(ada, cell=DOORBELL_CELL)
    await ada.get(f"/feed/posts?district={DOORBELL_CELL}")
    await ada.put("/feed/membership", {"district": DISTRICT, "cell": DOORBELL_CELL})
    world.clock.advance(HOUR_MS / 1000)
    (post,) = await posts(ada.http, district=DISTRICT)
    await ada.get(f"/feed/pictures/{post['pictures'][0]}")
    await ada.get("/feed/mine")
    await world.browser().get(f"/neighbours/{DISTRICT}")
    await world.browser().get(f"/neighbours/{DISTRICT}/atom")
    await ada.put("/feed/membership", {"district": None})
    await ada.put("/feed/membership", {"district": DISTRICT})
    return ada


async def test_neither_database_nor_logs_hold_a_place_finer_than_a_districts_cell(
    world, tmp_path, caplog
):
    """Seen to fail with a post's cell taken as it came, and with pictures kept as they came."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, answers_log.name)  # a command of an earlier test quiets it
    ada = await use_all(world)
    stored = all_stored(tmp_path / "relay.sqlite3")
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name != CLIENT
    ).encode()
    assert b"POST /api/v1/feed/posts" in logged, "else the relay logged nothing"
    assert CELL.encode() in stored, "else this test would prove nothing"
    assert ada.passkey.key.credential_id.encode() in stored
    found = [one for one in traces() if one in stored or one in logged]
    assert found == []


async def test_a_picture_that_everybody_sees_says_no_place(world):
    ada = await use_all(world)
    (post,) = await posts(ada.http, district=DISTRICT)
    answer = await world.browser().get(f"{API}/feed/pictures/{post['pictures'][0]}")
    image = Image.open(io.BytesIO(answer.content))
    assert Image.open(io.BytesIO(photo())).getexif().get_ifd(GPS_IFD)
    assert dict(image.getexif()) == {}
    assert not any(trace in answer.content for trace in traces())


async def test_no_answer_to_a_stranger_names_who_wrote(world):
    ada = await use_all(world)
    async with world.database.read() as tx:
        account_ids = set((await tx.exec_driver_sql("SELECT account_id FROM feed_posts")).scalars())
    assert account_ids
    secrets = [*account_ids, ada.name, ada.passkey.key.credential_id]
    for path in (
        f"{API}/feed/posts",
        f"{API}/feed/districts",
        f"/neighbours/{DISTRICT}",
        f"/neighbours/{DISTRICT}/atom",
        "/neighbours",
    ):
        answer = await world.browser().get(path)
        assert answer.status_code == 200
        assert [one for one in secrets if one in answer.text] == [], path


async def test_the_list_is_the_same_for_a_member_and_a_stranger(world):
    ada = await use_all(world)
    paths = (f"{API}/feed/posts?district={DISTRICT}", f"{API}/feed/posts", f"{API}/feed/districts")
    for path in paths:
        member_reads, stranger_reads = await ada.http.get(path), await world.browser().get(path)
        assert member_reads.content == stranger_reads.content
