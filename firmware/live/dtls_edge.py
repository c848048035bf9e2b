"""A patch of aiortc's DTLS: a failed retransmission doesn't end the connection's task.

aiortc 1.16 lets OpenSSL's error in a retransmission of a lost flight escape the connecting task:
nothing is sent again, no callback runs, and the session never connects.
tests/firmware/test_dtls_edge.py notices when upstream no longer does.
"""

from aiortc import rtcdtlstransport, rtcpeerconnection

SSL = rtcdtlstransport.SSL  # type: ignore[attr-defined]  # aiortc's import of pyOpenSSL


class SteadyDtls(rtcdtlstransport.RTCDtlsTransport):
    """One DTLS transport whose handshake goes on, or fails as aiortc's callers expect."""

    async def _recv_next(self) -> None:
        try:
            await super()._recv_next()
        except SSL.WantReadError:
            await self._write_ssl()  # the flight is made: what is missing is the answer to it
        except SSL.Error as error:  # it has tried too often (RFC 6347 §4.2.4)
            raise ConnectionError("the other side answers no DTLS") from error


def tune_dtls() -> None:
    """Make aiortc use `SteadyDtls` from now on; idempotent."""
    rtcpeerconnection.RTCDtlsTransport = SteadyDtls  # type: ignore[attr-defined]
