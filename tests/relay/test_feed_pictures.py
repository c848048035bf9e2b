"""Pictures of the feed: whatever is sent, what is kept is a plain JPEG or nothing."""

import asyncio
import io
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from relay.feed.picture_child import MAX_SIDE_PX, PictureFault, encode_anew
from relay.feed.pictures import COMMAND, MAX_BYTES, PictureEncoder
from relay.feed.rules import LOOSE_LIFE_MS, MAX_LOOSE_PICTURES, FeedRefused
from relay.ingest.expiry import Expiry
from tests.fakes.waiting import PATIENCE_S
from tests.relay.feed_people import jpeg_of, member, published_post, upload, waiting_post
from tests.relay.http_people import Owner
from tests.relay.http_world import API, World, open_world

GPS_IFD, LATITUDE, ORIENTATION, MAKER = 0x8825, 2, 0x0112, 0x010F


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def as_file(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


async def kept(owner: Owner, data: bytes, media_type: str = "image/jpeg") -> Image.Image:
    """Send a picture and return what is kept of it."""
    answer = await upload(owner, data, media_type)
    assert answer.status_code == 201, answer.text
    found = await owner.get(f"/feed/pictures/{answer.json()['id']}")
    assert found.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(found.content))
    image.load()
    return image


def markers(data: bytes) -> set[int]:
    """Return the kinds of segments in a JPEG up to its pixels."""
    found, at = set(), 2
    while data[at + 1] != 0xDA:
        found.add(data[at + 1])
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return found


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that says it has so many pixels, and has none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


async def test_nothing_but_the_picture_is_kept(world):
    """Seen to fail with the upload kept as it came."""
    ada = await member(world)
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = 6, "Quagmire Phones"
    exif.get_ifd(GPS_IFD)[LATITUDE] = (28.0, 1.0, 51.5)
    data = jpeg_of(
        size=(80, 40),
        exif=exif.tobytes(),
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        comment=b"taken at home",
        xmp=b"<x:xmpmeta>at home</x:xmpmeta>",
    )
    answer = await upload(ada, data)
    found = (await ada.get(f"/feed/pictures/{answer.json()['id']}")).content
    for secret in (b"Quagmire", b"home", b"Exif", b"ICC_PROFILE", b"xmpmeta"):
        assert secret in data
        assert secret not in found
    # JFIF's own header, tables, frame, and where the scan begins: no APP1, no comment.
    assert markers(found) <= {0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDD}
    assert Image.open(io.BytesIO(found)).size == (40, 80)  # upright, before that is forgotten


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_a_large_picture_is_made_smaller_in_each_format(world, form):
    ada = await member(world)
    data = as_file(Image.new("RGB", (4000, 3000), "teal"), form)
    image = await kept(ada, data, f"image/{form.lower()}")
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (MAX_SIDE_PX, 1200))
    red, green, blue = image.getpixel((9, 9))
    assert max(red, abs(green - 128), abs(blue - 128)) < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
async def test_each_kind_of_pixel_becomes_plain_colour(world, mode):
    ada = await member(world)
    data = as_file(Image.new("L", (64, 64), 255).convert("RGBA").convert(mode) if mode != "I;16"
                   else Image.new("I;16", (64, 64), 65535), "PNG")  # fmt: skip
    image = await kept(ada, data, "image/png")
    assert image.mode == "RGB"
    assert min(image.getpixel((9, 9))) > 247


async def test_transparent_parts_become_white(world):
    ada = await member(world)
    data = as_file(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG")
    assert min((await kept(ada, data, "image/png")).getpixel((9, 9))) > 250


async def test_four_inks_become_three_colours(world):
    ada = await member(world)
    data = as_file(Image.new("CMYK", (64, 64), (255, 0, 0, 0)), "JPEG")
    red, green, blue = (await kept(ada, data)).getpixel((9, 9))
    assert red < 40
    assert min(green, blue) > 150


async def test_of_an_animation_the_first_frame_is_kept(world):
    ada = await member(world)
    frames = [Image.new("RGB", (64, 64), one) for one in ("red", "blue")]
    data = as_file(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    image = await kept(ada, data, "image/webp")
    assert image.getpixel((9, 9))[0] > 200


async def test_a_second_file_in_the_same_bytes_is_gone(world):
    ada = await member(world)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("evil.html", "<script>alert(1)</script>")
    data = jpeg_of() + archive.getvalue()
    answer = await upload(ada, data)
    found = (await ada.get(f"/feed/pictures/{answer.json()['id']}")).content
    assert zipfile.is_zipfile(io.BytesIO(data))
    assert not zipfile.is_zipfile(io.BytesIO(found))
    assert found.endswith(b"\xff\xd9")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "picture_format",
        ),
        (as_file(Image.new("P", (64, 64)), "GIF"), "picture_format"),
        (as_file(Image.new("RGB", (64, 64)), "TIFF"), "picture_format"),
        (b"x", "picture_format"),
        (jpeg_of(size=(1, 1)), "picture_small"),
        (jpeg_of(size=(2000, 8)), "picture_small"),
        (png_header(50_000, 50_000), "picture_pixels"),
        (png_header(2**31 - 1, 2**31 - 1), "picture_pixels"),
        (png_header(4000, 4000), "picture_unreadable"),
        (jpeg_of(size=(900, 900))[:400], "picture_unreadable"),
    ],
    ids=["svg", "gif", "tiff", "letter", "pixel", "strip", "bomb", "largest", "hollow", "half"],
)
async def test_what_is_no_picture_is_refused_in_plain_words(world, data, code):
    ada = await member(world)
    answer = await upload(ada, data)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, code)
    assert error["message"].count(":") == 1  # what it is: what to do


async def test_a_text_that_unpacks_to_a_hundred_megabytes_is_dropped(world):
    ada = await member(world)
    more = PngInfo()
    more.add_text("note", "x" * 100_000_000, zip=True)
    answer = await upload(
        ada, as_file(Image.new("RGB", (64, 64)), "PNG", pnginfo=more), "image/png"
    )
    assert answer.status_code in (201, 422)


async def test_more_than_eight_megabytes_are_refused_before_they_are_read(world):
    ada = await member(world)
    answer = await upload(ada, bytes(MAX_BYTES + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    headers = {"Content-Type": "image/jpeg", "Content-Length": "100000000"}
    announced = await ada.http.post(f"{API}/feed/pictures", content=b"x", headers=headers)
    assert announced.status_code == 413


async def test_another_media_type_is_refused(world):
    ada = await member(world)
    assert (await upload(ada, jpeg_of(), "text/html")).status_code == 415


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import time; time.sleep(60)", "picture_time"),
        ("import os; os.abort()", "picture_unreadable"),
        ("print('<svg>')", "picture_unreadable"),
        ("import sys; print('what?'); sys.exit(2)", "picture_unreadable"),
    ],
)
async def test_a_decoder_that_hangs_crashes_or_lies_is_a_refusal(program, code):
    timeout_s = 1.0 if code == "picture_time" else PATIENCE_S
    encoder = PictureEncoder(command=(sys.executable, "-c", program), timeout_s=timeout_s)
    with pytest.raises(FeedRefused) as refused:
        await encoder.encode(jpeg_of())
    assert refused.value.name == code


async def test_a_picture_is_its_uploaders_until_its_post_is_public(world):
    ada, eve = await member(world), await member(world, "Eve")
    picture = (await upload(ada, jpeg_of())).json()["id"]
    path = f"/feed/pictures/{picture}"
    assert (await eve.post("/feed/posts", {})).status_code == 422
    stolen = await eve.post(
        "/feed/posts",
        {
            "kind": "hazard",
            "cell": "88441a5ac7fffff",
            "hour_ms": world.clock.wall_ms(),
            "text": "A hole in the street.",
            "pictures": [picture],
        },
    )
    assert stolen.json()["error"]["code"] == "pictures"
    post_id = await waiting_post(ada, pictures=[picture])
    for http, status in ((ada.http, 200), (eve.http, 404), (world.browser(), 404)):
        assert (await http.get(f"{API}{path}")).status_code == status
    assert (await ada.get(path)).headers["cache-control"] == "no-store"
    await world.feed.moderation.publish(post_id, moderator="mia", is_urgent=True)
    for http in (ada.http, eve.http, world.browser()):
        answer = await http.get(f"{API}{path}")
        assert answer.status_code == 200
        assert "sandbox" in answer.headers["content-security-policy"]
    again = await eve.post("/feed/posts", {})
    assert again.status_code == 422


async def test_pictures_that_no_post_takes_are_few_and_gone_after_a_day(world):
    ada = await member(world)
    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(upload(ada, jpeg_of())) for _ in range(MAX_LOOSE_PICTURES + 2)]
    codes = sorted(one.result().status_code for one in sent)
    assert codes == [201] * MAX_LOOSE_PICTURES + [409] * 2
    world.clock.advance(LOOSE_LIFE_MS / 1000)
    await Expiry(world.database, world.clock).forget()
    assert (await upload(ada, jpeg_of())).status_code == 201


async def test_a_picture_goes_with_one_post_only(world):
    ada = await member(world)
    picture = (await upload(ada, jpeg_of())).json()["id"]
    await published_post(ada, pictures=[picture])
    answer = await ada.post(
        "/feed/posts",
        {
            "kind": "hazard",
            "cell": "88441a5ac7fffff",
            "hour_ms": world.clock.wall_ms(),
            "text": "A hole in the street.",
            "pictures": [picture],
        },
    )
    assert answer.json()["error"]["code"] == "pictures"


async def test_the_decoder_runs_under_what_the_systemd_unit_forbids():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing (apt: systemd)")
    root = Path(__file__).parents[2]
    unit = root / "docs/examples/doorward-relay.service"
    confined = (sys.executable, str(root / "tests/fakes/confined.py"), str(unit))
    encoder = PictureEncoder(command=(*confined, *COMMAND))
    assert (await encoder.encode(jpeg_of())).startswith(b"\xff\xd8")


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    cut=st.integers(min_value=0, max_value=600),
    changes=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 255)), max_size=8),
)
def test_bent_bytes_become_a_small_jpeg_or_a_named_fault(form, cut, changes):
    data = bytearray(as_file(Image.effect_noise((48, 40), 60), form))
    for at, value in changes:
        data[at % len(data)] = value
    fault = ""
    try:
        encoded = encode_anew(bytes(data[: len(data) - cut % len(data)]))
    except PictureFault as error:
        fault = str(error)
    if fault:
        assert fault in ("format", "small", "pixels", "unreadable")
    else:
        assert max(Image.open(io.BytesIO(encoded)).size) <= MAX_SIDE_PX
