"""A doorbell that asks the relay of http_world for its next certificate."""

from pathlib import Path

import httpx2
from cryptography import x509

from firmware.enrolment.keys import DeviceKeys, load_or_make_keys
from firmware.protocol.encoding import b64u, decode
from firmware.protocol.renewals import Renewal, RenewalRequest, renewal_message
from relay.fleet.ca import ends_ms_of
from tests.relay.http_world import DAY_MS, World


class Renewing:
    """One enrolled doorbell with its keys, and the certificate that it has."""

    def __init__(self, world: World, keys: DeviceKeys, certificate_pem: str) -> None:
        self.world = world
        self.keys = keys
        self.certificate_pem = certificate_pem

    @classmethod
    async def enrolled(cls, world: World, folder: Path) -> "Renewing":
        keys = load_or_make_keys(folder)
        return cls(world, keys, await world.enrol_certified(keys))

    def request(self, *, signer: DeviceKeys | None = None) -> RenewalRequest:
        certificate = x509.load_pem_x509_certificate(self.certificate_pem.encode())
        signature = (signer or self.keys).sign(renewal_message(certificate))
        return RenewalRequest(certificate_pem=self.certificate_pem, signature=b64u(signature))

    async def send(self, request: RenewalRequest | None = None) -> httpx2.Response:
        async with self.world.browser() as http:
            return await http.post(
                "/renew",
                content=(request or self.request()).encode(),
                headers={"Content-Type": "application/json"},
            )

    async def renew(self) -> str:
        """Renew, and return the certificate that came; it isn't kept."""
        response = await self.send()
        assert response.status_code == 200, response.text
        return decode(Renewal, response.content).certificate_pem

    async def refusal(self, request: RenewalRequest | None = None) -> tuple[int, str]:
        """Return the status and the code of a renewal that is refused."""
        response = await self.send(request)
        assert response.status_code != 200
        return response.status_code, response.json()["error"]["code"]

    def days_pass(self, days: float) -> None:
        self.world.clock.advance(days * DAY_MS / 1000)

    def days_left(self, certificate_pem: str) -> float:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        return (ends_ms_of(certificate) - self.world.clock.wall_ms()) / DAY_MS
