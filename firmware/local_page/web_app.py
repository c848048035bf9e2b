"""Factory of the page's ASGI app: routes, their guard, and error handlers."""

from collections.abc import Iterable
from datetime import tzinfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from firmware.local_page.check_pages import PATH as CHECK
from firmware.local_page.check_pages import CheckPages
from firmware.local_page.confirm_pages import ConfirmPages
from firmware.local_page.door_number_entry import DoorNumberEntry
from firmware.local_page.forms import FormRefused
from firmware.local_page.guard import Guard
from firmware.local_page.home_pages import HomePages
from firmware.local_page.identity_pages import PATH as IDENTITY
from firmware.local_page.identity_pages import IdentityPages
from firmware.local_page.knock_pages import PATH as KNOCK
from firmware.local_page.knock_pages import KnockPages
from firmware.local_page.live_signalling import LiveSignalling, LiveSignallingPages
from firmware.local_page.microphone_pages import PATH as MICROPHONE
from firmware.local_page.microphone_pages import MicrophonePages
from firmware.local_page.ports import DoorbellPort
from firmware.local_page.responses import Responses
from firmware.local_page.wifi_pages import PATH as WIFI
from firmware.local_page.wifi_pages import WifiPages
from firmware.system.clock import Clock, SystemClock


def door_app(
    ports: DoorbellPort,
    *,
    origins: Iterable[str],
    clock: Clock | None = None,
    zone: tzinfo | None = None,
    live: LiveSignalling | None = None,
    example_town: str = "",
) -> Starlette:
    """Return the page as an ASGI app.

    `origins` are the page's own (see `guard.own_origins`); any other Host or Origin is refused.
    `live` answers programs at home that bring signed offers; without it none is taken here.
    `zone` is for readers who didn't say theirs; without one the machine's own is used.
    `example_town` is the name of its logs where that is an invented town's: each page says so.
    """
    clock = clock or SystemClock()
    replies = Responses(zone=zone, example_town=example_town)
    entry = DoorNumberEntry(ports, replies, clock)
    home = HomePages(ports, replies)
    confirming = ConfirmPages(ports, replies, entry)
    microphone = MicrophonePages(ports, replies, entry)
    knocking = KnockPages(ports, replies, entry)
    checking = CheckPages(ports, ports.check, replies=replies, entry=entry, clock=clock)
    identity = IdentityPages(ports, replies, entry)
    wifi = WifiPages(ports, replies)
    routes = [
        Route("/", home.status),
        Route("/robots.txt", home.robots),
        Route("/pair", home.pair),
        Route("/pair", home.complete_pairing, methods=["POST"]),
        Route("/recover", home.recover, methods=["POST"]),
        Route(WIFI, wifi.show),
        Route(f"{WIFI}/pair-instead", wifi.pair_instead, methods=["POST"]),
        Route("/confirm", confirming.show),
        Route("/unlock", confirming.unlock, methods=["POST"]),
        Route("/lock", confirming.lock, methods=["POST"]),
        Route("/unlock/{token}", confirming.open_link),
        Route("/confirm/{digest}", confirming.confirm, methods=["POST"]),
        Route("/refuse/{digest}", confirming.refuse, methods=["POST"]),
        Route(MICROPHONE, microphone.show),
        Route(MICROPHONE, microphone.switch, methods=["POST"]),
        Route(f"{MICROPHONE}/unlock", microphone.unlock, methods=["POST"]),
        Route(f"{MICROPHONE}/lock", microphone.lock, methods=["POST"]),
        Route(IDENTITY, identity.show),
        Route(IDENTITY, identity.take, methods=["POST"]),
        Route(f"{IDENTITY}/unlock", identity.unlock, methods=["POST"]),
        Route(KNOCK, knocking.show),
        Route(f"{KNOCK}/unlock", knocking.unlock, methods=["POST"]),
        Route(f"{KNOCK}/lock", knocking.lock, methods=["POST"]),
        Route(f"{KNOCK}/pattern", knocking.choose, methods=["POST"]),
        Route(f"{KNOCK}/off", knocking.switch_off, methods=["POST"]),
        Route(CHECK, checking.show),
        Route(f"{CHECK}/now", checking.now),
        Route(f"{CHECK}/picture.jpg", checking.picture),
        Route(f"{CHECK}/unlock", checking.unlock, methods=["POST"]),
        Route(f"{CHECK}/begin", checking.begin, methods=["POST"]),
        Route(f"{CHECK}/digits", checking.enter, methods=["POST"]),
        Route(f"{CHECK}/chime", checking.chime, methods=["POST"]),
        Route(f"{CHECK}/play", checking.play, methods=["POST"]),
        Route(f"{CHECK}/card", checking.measure_card, methods=["POST"]),
        Route(f"{CHECK}/answer", checking.answer, methods=["POST"]),
        Route(f"{CHECK}/end", checking.end, methods=["POST"]),
        Route("/clips/{digest}/{number}.mp4", confirming.part),
        Route("/releases/{digest}", confirming.release),
        *([] if live is None else LiveSignallingPages(live, clock).routes()),
        Mount("/static", StaticFiles(packages=[("firmware.local_page", "static")])),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, origins=tuple(origins))],
        exception_handlers={
            FormRefused: replies.form_refused,
            HTTPException: replies.http_error,
            Exception: replies.fault,
        },
    )
