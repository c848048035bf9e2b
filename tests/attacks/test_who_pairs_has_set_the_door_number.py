"""Two people in the home press "pair" at once: the number that counts is the one that paired."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.enrolment.door_number import DoorNumber
from firmware.enrolment.owners import OwnerStore
from firmware.enrolment.pairing import Pairing
from firmware.own_page import OwnPage
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import EventBody, Paired
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.pairing import PairingCode, qr_text
from tests.fakes.clock import ManualClock
from tests.story.authenticator import SoftPasskey


class QuietDesk:
    """A desk without standing requests: all that pairing asks of it."""

    async def tell_standing_requests(self, owner: OwnerKeys) -> None:
        """Tell nothing."""


@pytest.mark.parametrize("attempt", range(5))
async def test_of_two_numbers_sent_at_once_the_one_that_paired_counts(tmp_path, attempt):
    clock, told = ManualClock(), []
    pairing = Pairing(identity_key="aWQ", sealing_key="c2Vh", has_owner=False)
    owners = OwnerStore(tmp_path / "owners.json")
    number = DoorNumber(tmp_path / "door.json", monotonic_s=lambda: clock.monotonic_ns() / 1e9)

    async def tell(body: EventBody) -> None:
        told.append(body)

    page = OwnPage(
        device="a" * 20,
        desk=QuietDesk(),  # type: ignore[arg-type]
        pairing=pairing,
        owners=owners,
        door_number=number,
        library=None,  # type: ignore[arg-type]
        shelf=None,  # type: ignore[arg-type]
        clock=clock,
        tell=tell,  # type: ignore[arg-type]
        is_online=lambda: True,
        door_url="http://door.test",
    )
    now_ms = clock.monotonic_ns() // 1_000_000
    pairing.press_service(now_ms)
    note_key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    passkey = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    owner = OwnerKeys(name="Ada", passkey=passkey, note_key=b64u(note_key))
    assert pairing.read_code(qr_text(PairingCode(pairing_id=new_id(), owner=owner)), now_ms)
    numbers = [f"{digit}" * 6 for digit in range(6)]
    outcomes = await asyncio.gather(*(page.complete_pairing(one) for one in numbers))
    winners = [one for one, done in zip(numbers, outcomes, strict=True) if done.is_done]
    assert len(winners) == 1
    number.check(winners[0])
    assert owners.owners == (owner,)
    assert [type(body) for body in told] == [Paired]
