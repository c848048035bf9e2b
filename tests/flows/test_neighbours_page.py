"""The place *Neighbours* in Chromium at a real relay: a post with a painted picture, moderated,
read, followed, refused, appealed."""

import io
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from playwright.async_api import FilePayload, Page, expect
from sqlalchemy import select

from firmware.protocol.encoding import new_id
from relay.store import feed
from relay.store.feed import PostRow
from relay.store.schema import feed_members, feed_pictures, feed_pushes
from tests.flows.browser import IN_ONE_BROWSER, sit_down
from tests.flows.household import PICTURES_SHOWN, WITHOUT_WORKER, app_browser, go
from tests.flows.live_session import visiting
from tests.flows.page_quality import Inspector
from tests.flows.test_pages_quality import load_from_bundle
from tests.relay.feed_people import CELL, DISTRICT, member, published_post
from tests.relay.http_world import HOUR_MS, OWNER_ORIGIN, RELAY_URL, World, open_world
from tests.story.settings import REPOSITORY

pytestmark = list(IN_ONE_BROWSER)

TEXT = "A parcel was taken from our porch. Its box was left open on the path."
ASSETS = REPOSITORY / "node_modules" / "@vladmandic" / "human" / "assets"
"""Of the face finder's own package: pictures of people are never committed."""
WAYS: Final[tuple[tuple[int, Literal["light", "dark"]], ...]] = ((390, "light"), (1440, "dark"))
MAKER, PLACE = 0x010F, b"at 28.0395, -81.9498"
IS_IN_THEME = """(theme) => [...document.querySelectorAll("#foot > p, nav a > span")].every(
  (one) => (getComputedStyle(one).color === "rgb(85, 96, 90)") === (theme === "light")
    || one.closest("[aria-current]") !== null)"""
"""Whether muted words have the theme's colour; on a busy machine that takes a moment."""
FINE = re.compile(r"(?<![0-9a-z])89[0-9a-f]{13}(?![0-9a-z])")
"""A cell of a few houses; ids may have an 89 in them."""
THREE_FACES = (0, 340, 480, 500)
FACE_BOXES = """async (encoded) => {
  const [{ findFaces }, { readPicture }] = await Promise.all(
    ["/face_finder.js", "/painted_picture.js"].map((path) => import(path)));
  const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
  return findFaces(await readPicture(new Blob([bytes], { type: "image/jpeg" })));
}"""

READ_TO_THE_END = """() => (scrollTo(0, document.body.scrollHeight),
  document.querySelector("#neighbours-end")?.textContent.includes("the oldest"))"""
NOTHING_KEPT = """async () => {
  const { readKey } = await import("/vendor/browser/key_store.js");
  const { FEED_KEYS, feedKey } = await import("/feed_place.js");
  const names = Object.keys(FEED_KEYS).map((name) => feedKey(name, "RELAY/api/v1/"));
  const kept = await Promise.all(names.map((key) => readKey(key)));
  return kept.every((one) => one === undefined);
}""".replace("RELAY", RELAY_URL)
KEEP_UPLOADS = """() => {
  window.uploads = [];
  const send = window.fetch;
  window.fetch = async (address, options) => {
    if (options?.body instanceof Blob) {
      const bytes = new Uint8Array(await options.body.arrayBuffer());
      window.uploads.push(btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join("")));
    }
    return send(address, options);
  };
}"""


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[tuple[World, Page]]:
    """Somebody with an account and no doorbell, in a town with districts."""
    async with open_world(folder) as world, app_browser(world) as browser:
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        person = await sit_down(browser, **WITHOUT_WORKER)
        page = person.page
        await page.goto(f"{OWNER_ORIGIN}/#/join?invitation={await world.invite_owner()}")
        await page.fill("#name", "Ada")
        await page.click("#add-passkey")
        await page.wait_for_url(lambda url: "#/join" not in url)
        yield world, page


async def join_district(page: Page) -> None:
    await go(page, "neighbours")
    await page.click("#choose-district")
    await page.select_option("#district", DISTRICT)
    await page.click("#join-district")
    await expect(page.locator("#leave-district")).to_be_visible()


async def answer_until_pictures(page: Page, text: str = TEXT) -> None:
    """Write a post as far as its pictures."""
    await go(page, "neighbours/write")
    await page.check("#kinds input[value=parcel_taken]")
    await page.click("#next")
    await page.fill("#post-text", text)
    await page.click("#next")
    await expect(page.locator("#composer")).to_have_attribute("data-step", "where")
    await page.click("#next")
    await expect(page.locator("#composer")).to_have_attribute("data-step", "when")
    await page.click("#next")
    await expect(page.locator("#picture-file")).to_be_visible()


async def send(page: Page) -> None:
    await page.click("#next")
    await page.click("#send-post")
    await expect(page.locator("#post-sent")).to_contain_text("A moderator reads it first")


async def only_post(world: World) -> str:
    (waiting,), _ = await world.feed.moderation.waiting("mia")
    return waiting.id


async def uploaded(world: World) -> list[Image.Image]:
    """Return what the relay has of pictures."""
    async with world.database.read() as tx:
        rows = (await tx.execute(select(feed_pictures.c.jpeg))).scalars().all()
    return [Image.open(io.BytesIO(row)).convert("RGB") for row in rows]


async def test_a_post_with_a_painted_picture_is_moderated_and_read(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await page.evaluate(KEEP_UPLOADS)
        await join_district(page)
        await answer_until_pictures(page)
        faces = three_faces()
        await page.set_input_files("#picture-file", faces)
        await expect(page.locator("#picture-editor")).to_have_attribute("data-faces", "3")
        boxes = await page.evaluate(FACE_BOXES, b64encode(faces["buffer"]).decode())
        assert len(boxes) == 3
        await page.click("#use-picture")
        await expect(page.locator("#chosen-pictures img")).to_have_count(1)
        await send(page)

        (jpeg,) = [b64decode(one) for one in await page.evaluate("window.uploads")]
        assert PLACE not in jpeg
        for picture in (Image.open(io.BytesIO(jpeg)).convert("RGB"), *await uploaded(world)):
            for box in boxes:
                assert_one_colour(picture, box)

        await go(page, "neighbours/mine")
        await expect(page.locator("[data-post-state=waiting]")).to_contain_text(TEXT)
        post_id = await only_post(world)
        await world.feed.moderation.publish(post_id, moderator="mia", is_urgent=True)
        await go(page, "neighbours")
        post = page.locator(f"[data-post='{post_id}']")
        await expect(post).to_contain_text(TEXT)
        await expect(post).to_contain_text("Lake Morton")
        await expect(post.locator("img")).to_have_count(1)


async def test_a_refused_post_tells_why_and_is_appealed_once(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await join_district(page)
        await answer_until_pictures(page)
        await send(page)
        post_id = await only_post(world)
        await world.feed.moderation.refuse(post_id, "plate", moderator="mia")
        await go(page, "neighbours/mine")
        refused = page.locator("[data-testid=refused]")
        await expect(refused).to_contain_text("A licence plate can be read")
        await page.click("[data-testid=appeal] summary")
        await page.fill(f"#appeal-{post_id}", "There is no plate in it.")
        await page.click("[data-testid=appeal] button")
        await expect(page.locator("[data-testid=appealed]")).to_contain_text("They decide")
        await expect(page.locator("[data-testid=appeal]")).to_have_count(0)
        ((appeal, _),) = await world.feed.moderation.appeals("mia")
        assert appeal.text == "There is no plate in it."


async def test_what_is_followed_is_off_until_it_is_chosen_and_kept(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await join_district(page)
        for group in ("safety", "lost_and_found"):
            await expect(page.locator(f"#follow-{group}")).not_to_be_checked()
        await expect(page.locator("#push-is-off")).to_be_visible()
        await page.check("#follow-lost_and_found")
        await page.check("input[name=follow-how][value=daily]", force=True)
        await page.fill("#follow-at", "19:30")
        await page.click("#follow-save")
        await expect(page.locator("#follow-saved")).to_be_visible()
        async with world.database.read() as tx:
            (row,) = (await tx.execute(select(feed_pushes))).all()
            (member_row,) = (await tx.execute(select(feed_members))).all()
        assert (row.how, row.minute, row.quiet) == ("daily", 19 * 60 + 30, None)
        assert member_row.follows == '["lost_and_found"]'
        await page.reload()
        await expect(page.locator("#follow-lost_and_found")).to_be_checked()
        await expect(page.locator("#follow-safety")).not_to_be_checked()
        await expect(page.locator("#follow-at")).to_have_value("19:30")
        await page.click("#leave-district")
        await expect(page.locator("#follow-form")).to_have_count(0)
        async with world.database.read() as tx:
            assert (await tx.execute(select(feed_pushes))).first() is None


async def test_without_a_network_the_last_list_is_shown_with_its_time_until_one_signs_out(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (world, page):
        await published_post(await member(world, "Ben"))
        await join_district(page)
        await go(page, "neighbours")
        await expect(page.locator("[data-post]")).to_have_count(1)
        await go(page, "neighbours/mine")
        await expect(page.locator("#own-posts .empty")).to_be_visible()
        await page.route(f"{RELAY_URL}/**", lambda route: route.abort())
        await go(page, "neighbours")
        await expect(page.locator("#as-of")).to_be_visible()
        await expect(page.locator("[data-post]")).to_contain_text("Lake Morton")
        await page.unroute(f"{RELAY_URL}/**")
        await page.click("#sign-out")
        await page.wait_for_url(lambda url: "welcome" in url)
        await page.wait_for_function(NOTHING_KEPT)


async def test_a_waiting_post_is_withdrawn(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await join_district(page)
        await answer_until_pictures(page)
        await send(page)
        await go(page, "neighbours/mine")
        await page.click("[data-testid=withdraw]")
        await page.click("#withdraw-post button[value=yes]")
        await expect(page.locator("[data-post-state=withdrawn]")).to_be_visible()
        assert await world.feed.moderation.waiting("mia") == ([], 0)
        await expect(page.locator("main")).not_to_contain_text(TEXT)


async def test_without_the_face_finder_nothing_is_shown_but_what_the_author_uncovers(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (world, page):
        await page.route("**/blazeface.bin", lambda route: route.abort())
        await join_district(page)
        await answer_until_pictures(page)
        await page.set_input_files("#picture-file", picture_file("red"))
        await expect(page.locator("#finder-failed")).to_be_visible()
        await expect(page.locator("#use-picture")).to_be_disabled()
        await page.click("#add-part")  # the middle, by the keyboard
        await page.keyboard.press("Shift+ArrowRight")
        await page.click("#use-picture")
        await send(page)
        (picture,) = await uploaded(world)
        assert picture.getpixel((5, 5)) == (0, 0, 0)
        red, green, blue = picture.getpixel((200, 150))  # type: ignore[misc]
        assert red > 200
        assert max(green, blue) < 40


async def test_a_box_is_drawn_and_the_picture_cropped_by_a_pointer(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await join_district(page)
        await answer_until_pictures(page)
        await page.set_input_files("#picture-file", picture_file("white"))
        await expect(page.locator("#picture-editor")).to_have_attribute("data-faces", "0")
        await drag(page, (0.0, 0.0), (0.5, 0.5))
        await expect(page.locator("#covered-parts li")).to_have_count(1)
        await page.check("input[name=paint-tool][value=crop]")
        await drag(page, (0.25, 0.25), (1.0, 1.0))
        await page.click("#use-picture")
        await send(page)
        (picture,) = await uploaded(world)
        assert abs(picture.width - 300) <= 3
        assert abs(picture.height - 225) <= 3
        assert max(picture.getpixel((20, 20))) < 30  # type: ignore[arg-type]
        assert min(picture.getpixel((250, 200))) > 230  # type: ignore[arg-type]


async def test_a_brush_covers_and_what_the_relay_keeps_is_saved(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await join_district(page)
        await answer_until_pictures(page)
        await page.set_input_files("#picture-file", picture_file("white"))
        await expect(page.locator("#picture-editor")).to_have_attribute("data-faces", "0")
        await page.check("input[name=paint-tool][value=brush]", force=True)
        await page.check("input[name=brush-width][value=thick]", force=True)
        await drag(page, (0.2, 0.5), (0.8, 0.5))
        await drag(page, (0.2, 0.1), (0.8, 0.1))
        await expect(page.locator("#covered-parts li")).to_have_count(2)
        await page.locator("#covered-parts button").last.click()
        await expect(page.locator("#covered-parts li")).to_have_count(1)
        await page.click("#use-picture")
        await send(page)
        (picture,) = await uploaded(world)
        width, height = picture.size
        for x in (0.25, 0.5, 0.75):
            assert max(picture.getpixel((int(x * width), height // 2))) < 30  # type: ignore[arg-type]
            assert min(picture.getpixel((int(x * width), height // 10))) > 230  # type: ignore[arg-type]
        await go(page, "neighbours/mine")
        async with page.expect_download() as coming:
            await page.click("#save-data")
        kept = json.loads(Path(await (await coming.value).path()).read_text())
        (post,) = kept["posts"]
        assert (kept["name"], kept["membership"]["district"]) == ("Ada", DISTRICT)
        (saved,) = [kept["files"][one] for one in post["pictures"]]
        saved_jpeg = Image.open(
            io.BytesIO(b64decode(saved.removeprefix("data:image/jpeg;base64,")))
        )
        assert saved_jpeg.size == picture.size
        await page.click("#kept-data a")
        await expect(page.locator("#what-goes")).to_contain_text("isn't published")


async def test_nothing_is_fetched_that_is_finer_than_a_district(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        other = await member(world, "Ben")
        near = await published_post(other)
        far = await published_post(other, kind="lost", text="A grey cat with a red collar is gone.")
        await join_district(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url + str(request.post_data)))
        await go(page, "neighbours")
        await expect(page.locator("[data-post]")).to_have_count(2)
        await page.click("#choose-shown summary")
        await page.select_option("#within", "600")
        await page.fill("#place-typed", "28.0000, -81.7000")
        await page.keyboard.press("Enter")
        await expect(page.locator("#neighbours-state")).to_contain_text("Nothing here matches")
        await page.click("#show-all")
        await page.click("#choose-shown summary")
        await page.click("#only-lost")
        await expect(page.locator(f"[data-post='{far}']")).to_be_visible()
        await expect(page.locator(f"[data-post='{near}']")).to_have_count(0)
        assert [one for one in asked if "28.0" in one or "81.7" in one or FINE.search(one)] == []


async def test_a_frame_of_the_door_goes_to_the_composer(
    tmp_path: Path,
) -> None:
    async with visiting(tmp_path) as at:
        page = at.page
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await join_district(page)
        await at.see()
        await page.wait_for_function(PICTURES_SHOWN, arg=2)
        await page.click("#live-more")
        await page.click("#to-neighbours")
        await expect(page.locator("#frame-waits")).to_be_visible()
        await page.check("#kinds input[value=hazard]")
        await page.click("#next")
        await page.fill("#post-text", "A branch of the oak hangs over the path.")
        for step in ("where", "when", "pictures"):
            await page.click("#next")
            await expect(page.locator("#composer")).to_have_attribute("data-step", step)
        await expect(page.locator("#picture-editor[data-faces]")).to_be_visible()
        await page.click("#use-picture")
        await expect(page.locator("#chosen-pictures img")).to_have_count(1)


async def test_each_step_is_fit_for_keyboard_phone_and_screen_reader(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        inspector = Inspector(load_from_bundle)

        async def look(name: str) -> None:
            for width, theme in WAYS:
                await page.set_viewport_size({"width": width, "height": 844})
                await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                await page.wait_for_function(IS_IN_THEME, arg=theme)
                await inspector.look(page, name, theme)

        await join_district(page)
        for step in ("kind", "text", "where", "when", "pictures"):
            await walk_to(page, step)
            await look(step)
        await page.set_input_files("#picture-file", picture_file("white"))
        await expect(page.locator("#use-picture")).to_be_enabled()
        await page.click("#add-part")
        await look("editor")
        await page.click("#use-picture")
        await page.click("#next")
        await look("preview")
        await page.click("#send-post")
        await expect(page.locator("#post-sent")).to_be_visible()
        post_id = await only_post(world)
        await world.feed.moderation.refuse(post_id, "name", moderator="mia")
        await go(page, "neighbours/mine")
        await page.click("[data-testid=appeal] summary")
        await look("refused")
        assert not inspector.found, "\n".join(inspector.found)


async def test_of_a_thousand_posts_few_stand_in_the_page(tmp_path: Path) -> None:
    async with joined(tmp_path) as (world, page):
        await add_posts(world, 1000)
        await join_district(page)
        await go(page, "neighbours")
        await page.wait_for_function(READ_TO_THE_END)
        assert await page.locator("[data-post]").count() < 200
        await page.evaluate("scrollTo(0, 0)")
        await expect(page.locator("[data-post]").first).to_contain_text("Post 0.")


async def add_posts(world: World, count: int) -> None:
    """Publish posts of the last three weeks."""
    now_ms = world.clock.wall_ms()
    async with world.database.begin() as tx:
        for number in range(count):
            published_ms = now_ms - number * 30 * 60_000
            row = PostRow(
                id=new_id(),
                district=DISTRICT,
                cell=CELL,
                kind="hazard",
                hour_ms=published_ms - published_ms % HOUR_MS,
                text=f"Post {number}. A branch lies on the path round the lake.",
                written_by="neighbour",
                account_id=None,
                agency=None,
                refers=None,
                is_urgent=False,
                state="published",
                written_ms=published_ms,
                changed_ms=published_ms,
                published_ms=published_ms,
            )
            await feed.add_post(tx, row)


async def walk_to(page: Page, step: str) -> None:
    """Go on to a step from the one before it."""
    if step == "kind":
        await go(page, "neighbours/write")
        await page.check("#kinds input[value=parcel_taken]")
        return
    await page.click("#next")
    await expect(page.locator("#composer")).to_have_attribute("data-step", step)
    if step == "text":
        await page.fill("#post-text", TEXT)


def three_faces() -> FilePayload:
    """Return a camera's picture of three people, with a place in its metadata."""
    people = Image.open(ASSETS / "screenshot-facedetect.jpg").convert("RGB").crop(THREE_FACES)
    exif = Image.Exif()
    exif[MAKER] = PLACE.decode()
    file = io.BytesIO()
    people.save(file, "JPEG", quality=95, exif=exif)
    assert PLACE in file.getvalue()
    return {"name": "door.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}


def picture_file(colour: str) -> FilePayload:
    file = io.BytesIO()
    Image.new("RGB", (400, 300), colour).save(file, "PNG")
    return {"name": "picture.png", "mimeType": "image/png", "buffer": file.getvalue()}


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw over the picture, from one share of its width and height to another."""
    await page.locator(".paint-stage").scroll_into_view_if_needed()
    frame = await page.locator(".paint-stage").bounding_box()
    assert frame is not None
    places = [
        (frame["x"] + x * (frame["width"] - 2) + 1, frame["y"] + y * (frame["height"] - 2) + 1)
        for x, y in (start, end)
    ]
    await page.mouse.move(*places[0])
    await page.mouse.down()
    await page.mouse.move(*places[1], steps=4)
    await page.mouse.up()


def assert_one_colour(picture: Image.Image, box: dict[str, float]) -> None:
    """Nothing of a found face is left: all its pixels are black, but for a JPEG's rounding."""
    left, top = max(0, int(box["x"])), max(0, int(box["y"]))
    right = min(picture.width, int(box["x"] + box["width"]))
    bottom = min(picture.height, int(box["y"] + box["height"]))
    extrema = picture.crop((left, top, right, bottom)).getextrema()
    assert all(high <= 8 for _, high in extrema), (box, extrema)
