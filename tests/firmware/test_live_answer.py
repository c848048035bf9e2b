"""The doorbell's answer is signed, or there is none."""

import pytest

from firmware.live.errors import LiveError
from firmware.live.sdp_answer import AnswerSigner
from firmware.protocol.encoding import new_id
from firmware.protocol.live import LiveOffer
from tests.fakes.clock import ManualClock

SDP = f"v=0\r\na=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\n"


async def test_an_answer_that_cannot_be_signed_is_refused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def sign(self, _data: bytes) -> bytes:
            raise OSError("the secure element is gone")

    offer = LiveOffer(
        device="d" * 20,
        session_id=new_id(),
        nonce=new_id(),
        browser="b" * 20,
        purpose="live",
        sdp=SDP,
    )
    signer = AnswerSigner(Broken(), device="d" * 20, clock=ManualClock(wall_ms=0))
    with pytest.raises(LiveError, match="can't sign") as refused:
        await signer.signed(offer, SDP, lasts_s=60)

    assert refused.value.reason == "closed"
    assert "the secure element is gone" in caplog.text
