"""Followers of a town's register that share a card, one after another, and what they asked for."""

import random
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.enrolment.keys import FileSigner
from firmware.protocol.register.saved_form import code_digest, frame, unframe
from firmware.transparency.follower import RegisterFollower
from firmware.transparency.log_source import LogSource
from firmware.transparency.policy_file import logs_of
from firmware.transparency.saved_state import TAG, SavedFollowing
from firmware.transparency.state_signature import sign_state, verify_state
from tests.fakes.clock import ManualClock
from tests.fakes.log_town import NOW_MS, Town

LOG_URL = "https://relay.example/log"


def signed_state(state: bytes, signer: FileSigner) -> bytes:
    """Return a saved state as the doorbell writes it."""
    return b"".join(sign_state([state], signer))


class Followers:
    """Makes followers of one town that share a card, one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "register"
        self.saved_path = self.folder / "saved-register"
        self.clock = ManualClock(wall_ms=NOW_MS)
        self.signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
        self.witnessed: list[int] = []
        self.asked: list[str] = []
        self.ranges: dict[str, str] = {}
        """Of what was asked for in part: by its path, which part."""

    def saved(self) -> SavedFollowing:
        """Return what the last of them saved."""
        state = verify_state(self.saved_path.read_bytes(), self.signer)
        return unframe(TAG, SavedFollowing, state, code=code_digest())

    def put_saved(self, state: SavedFollowing) -> None:
        """Put another state there, as the doorbell itself would write and sign it."""
        framed = frame(TAG, state, code=code_digest())
        self.saved_path.write_bytes(signed_state(framed, self.signer))

    def of(
        self, town: Town, *, log_url: str = LOG_URL, is_doorbell: bool = True
    ) -> RegisterFollower:
        inner = town.transport()

        async def answer(request: httpx2.Request) -> httpx2.Response:
            path = request.url.path.removeprefix("/log/register/")
            self.asked.append(path)
            if "range" in request.headers:
                self.ranges[path] = request.headers["range"]
            return await inner.handle_async_request(request)

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        follower = RegisterFollower(
            folder=self.folder,
            logs=logs_of(town.policy),
            source=LogSource(http, log_url, "register"),
            clock=self.clock,
            signer=self.signer if is_doorbell else None,
            chance=random.Random(7),
        )
        follower.witnessed.add(self.witnessed.append)
        return follower
