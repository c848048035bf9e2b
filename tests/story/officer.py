"""An officer with a passkey, and the agency's key file on the agency's own machine."""

import html
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2

from firmware.protocol.encoding import decode, new_id
from firmware.protocol.feed_posts import POST_TAG, AgencyPost
from firmware.protocol.outcomes import OUTCOME_TAG, Outcome, OutcomeKind
from firmware.protocol.passkeys import challenge
from firmware.protocol.requests import (
    COSIGN_TAG,
    REQUEST_TAG,
    WITHDRAW_TAG,
    EvidenceRequest,
    IncidentType,
    OfficerRole,
    SignedCertificate,
    Withdrawal,
)
from relay.verify.checks import Exit
from tests.story.api import Api, Json, ask_until
from tests.story.authenticator import SoftPasskey
from tests.story.commands import run_all, run_one
from tests.story.settings import StoryError

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
CERTIFIED_WITHIN_S = 30.0
PARCEL = "A parcel was taken from a porch. Did your doorbell see who came by?"


class Agency:
    """The agency's machine: its key file certifies officers and opens evidence."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file

    async def certify(
        self, officer: Json, folder: Path, *, role: OfficerRole = "officer"
    ) -> SignedCertificate:
        """Certify one officer: {"officer_id", "name", "passkey"}."""
        (signed,) = await self.certify_all([(officer, role)], folder)
        return signed

    async def certify_all(
        self, officers: Sequence[tuple[Json, OfficerRole]], folder: Path
    ) -> list[SignedCertificate]:
        """Certify several at once."""
        commands, answers = [], []
        for officer, role in officers:
            asked = folder / f"officer-{officer['officer_id']}.json"
            asked.write_text(json.dumps(officer))
            answers.append(folder / f"certificate-{officer['officer_id']}.json")
            commands.append(
                (
                    "doorward-agency", "officer", "--key", str(self.key_file),
                    "--officer", str(asked), "--role", role, "--out", str(answers[-1]),
                )
            )  # fmt: skip
        await run_all(*commands)
        return [decode(SignedCertificate, answer.read_bytes()) for answer in answers]

    async def open(self, package: Path, folder: Path, *, policy: Path, fleet_ca: Path) -> None:
        """Open and verify a downloaded package into `folder`.

        All is checked, and holds; only that it is a day old can't be shown by a new doorbell.
        """
        said = await run_one(
            "doorward-agency", "open", str(package), "--key", str(self.key_file),
            "--policy", str(policy), "--fleet-ca", str(fleet_ca), "--out", str(folder),
            right=(Exit.HOLDS.value, Exit.INCOMPLETE.value),
        )  # fmt: skip
        unmade = [line for line in said.splitlines() if line.startswith("not checked  ")]
        if unmade:
            raise StoryError(f"the evidence isn't checked whole: {unmade}")


class Officer:
    """One officer at the agency's pages."""

    def __init__(
        self,
        relay_url: str,
        keys_file: Path,
        name: str,
        agency_id: str,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._now_ms = now_ms
        self.name = name
        self.agency_id = agency_id
        self.api = Api(relay_url, origin=relay_url)
        self.officer_id = ""
        self.certificate: SignedCertificate | None = None
        self._file = keys_file
        self._passkey = SoftPasskey.create(rp_id="localhost", origin=relay_url)
        if keys_file.exists():
            self._load()

    async def register(self, invitation: str) -> None:
        """Add a passkey at the agency's pages with an invitation."""
        begun = await self.api.post(
            "/agency/register/options", {"invitation": invitation, "name": self.name}
        )
        credential = self._passkey.register(begun["options"])
        done = await self.api.post(
            "/agency/register/verify", {"session": begun["session"], "credential": credential}
        )
        self.officer_id = done["officer"]["officer_id"]
        self._save()
        await self._take_csrf_token()

    async def log_in(self) -> None:
        """Sign in at the agency's pages."""
        begun = await self.api.post("/agency/login/options")
        credential = self._passkey.log_in(begun["options"])
        await self.api.post(
            "/agency/login/verify", {"session": begun["session"], "credential": credential}
        )
        await self._take_csrf_token()

    @property
    def file(self) -> Json:
        """What the agency certifies: officer.json."""
        return {
            "officer_id": self.officer_id,
            "name": self.name,
            "passkey": json.loads(self._passkey.key.encode()),
        }

    async def take_certificate(self, certificate: SignedCertificate) -> None:
        """Tell the relay of what the agency signed; it counts after a while."""
        self.certificate = certificate
        await self.send_certificate(self.officer_id, certificate)
        self._save()

    async def wait_until_certified(self) -> None:
        """Wait until the certificate counts."""
        await ask_until(
            f"{self.name}'s certificate counts",
            self.standing,
            lambda state: state == "valid",
            timeout_s=CERTIFIED_WITHIN_S,
        )

    async def standing(self) -> str:
        """Return how this officer's certificate stands."""
        told = await self.api.get(f"/agency/officers/{self.officer_id}")
        return str(told["certificate"])

    async def send_certificate(self, officer_id: str, certificate: SignedCertificate) -> None:
        """Give the relay an officer's certificate."""
        await self.api.post(
            f"/agency/officers/{officer_id}/certificate", json.loads(certificate.encode())
        )

    async def draft_request(
        self,
        cosigner: "Officer",
        *,
        cells: list[str],
        case_number: str,
        text: str = PARCEL,
        incident_type: IncidentType = "theft",
    ) -> EvidenceRequest:
        """Write and sign a request about the last hour in these cells, for the other to co-sign."""
        if self.certificate is None:
            raise StoryError("this officer isn't certified")
        now_ms = self._now_ms()
        request = EvidenceRequest(
            id=new_id(),
            agency=self.agency_id,
            officer_id=self.officer_id,
            officer_name=self.name,
            cosigner_id=cosigner.officer_id,
            cosigner_name=cosigner.name,
            contact="desk@lakeland.example",
            case_number=case_number,
            incident_type=incident_type,
            text=text,
            cells=cells,
            from_ms=now_ms - 60 * MINUTE_MS,
            to_ms=now_ms,
            retention_days=90,
            onward_sharing="prosecutor",
            created_ms=now_ms,
            expires_ms=now_ms + DAY_MS,
        )
        signed = request.encode()
        draft = {
            "request": signed.decode(),
            "assertion": json.loads(self._passkey.sign(challenge(REQUEST_TAG, signed)).encode()),
            "officer": json.loads(self.certificate.encode()),
        }
        await self.api.post("/agency/requests", {"draft": draft})
        return request

    async def cosign_request(self, request_id: str) -> EvidenceRequest:
        """Read a colleague's draft on its page, all of it, and co-sign that very text."""
        if self.certificate is None:
            raise StoryError("this officer isn't certified")
        page = await self._page(f"/agency/requests/{request_id}")
        text = str(page_data(page, "to-sign")["request"]).encode()
        request = decode(EvidenceRequest, text)
        if request.cosigner_id != self.officer_id:
            raise StoryError("the request on this page is for somebody else to co-sign")
        cosigned = {
            "cosignature": json.loads(self._passkey.sign(challenge(COSIGN_TAG, text)).encode()),
            "cosigner": json.loads(self.certificate.encode()),
        }
        await self.api.post(f"/agency/requests/{request_id}/cosign", {"cosigned": cosigned})
        return request

    async def withdraw(self, request: EvidenceRequest) -> None:
        """Withdraw a published request."""
        told = Withdrawal(
            request_digest=request.digest(), agency=self.agency_id, officer_id=self.officer_id
        ).encode()
        signed = {"withdrawal": told.decode(), **self._signature(WITHDRAW_TAG, told)}
        await self.api.post(f"/agency/requests/{request.id}/withdraw", {"signed": signed})

    async def file_outcome(
        self, request: EvidenceRequest, outcome: OutcomeKind, *, private_text: str = ""
    ) -> None:
        """Say what became of a request that is over."""
        told = Outcome(
            request_digest=request.digest(),
            agency=self.agency_id,
            officer_id=self.officer_id,
            outcome=outcome,
            is_resolved=False,
        ).encode()
        signed = {"outcome": told.decode(), **self._signature(OUTCOME_TAG, told)}
        body = {"signed": signed, "private_text": private_text}
        await self.api.post(f"/agency/requests/{request.id}/outcome", body)

    async def post_notice(self, *, cell: str, text: str) -> str:
        """Sign an official post for the neighbours' feed; return its id. A moderator reads it."""
        now_ms = self._now_ms()
        post = AgencyPost(
            id=new_id(),
            agency=self.agency_id,
            officer_id=self.officer_id,
            officer_name=self.name,
            kind="official",
            cell=cell,
            hour_ms=now_ms - now_ms % HOUR_MS,
            text=text,
            created_ms=now_ms,
        )
        signed = post.encode()
        body = {"post": signed.decode(), **self._signature(POST_TAG, signed)}
        await self.api.post("/agency/feed", {"signed": body})
        return post.id

    def _signature(self, tag: bytes, text: bytes) -> Json:
        if self.certificate is None:
            raise StoryError("this officer isn't certified")
        return {
            "assertion": json.loads(self._passkey.sign(challenge(tag, text)).encode()),
            "officer": json.loads(self.certificate.encode()),
        }

    async def wait_until_open(self, request_id: str, *, timeout_s: float = 30.0) -> None:
        """Wait until the request is in the register, and witnesses have seen it."""
        await ask_until(
            "the request is in the register",
            lambda: self.request_state(request_id),
            lambda state: state == "open",
            timeout_s=timeout_s,
        )

    async def request_state(self, request_id: str) -> str:
        """Return how a request stands, as its page says."""
        page = await self._page(f"/agency/requests/{request_id}")
        found = re.search(r'id="standing" data-state="([a-z_]+)"', page)
        if found is None:
            raise StoryError("the request's page doesn't say how it stands")
        return found.group(1)

    async def requests_to_cosign(self) -> list[str]:
        """Return the ids of the drafts that wait for this officer's signature."""
        page = await self._page("/agency")
        found = re.search(r'<section[^>]*id="to-cosign".*?</section>', page, re.S)
        return [] if found is None else re.findall(r'href="/agency/requests/([^"/]+)"', found[0])

    async def requests_in(self, state: str) -> list[str]:
        """Return the ids of the agency's requests in that state, as their list says it."""
        rows = (await self._page("/agency/requests")).split("<tr>")
        return [
            found[1]
            for row in rows
            if f'data-state="{state}"' in row
            and (found := re.search(r'href="/agency/requests/([^"/]+)"', row))
        ]

    async def evidence_lists(self, package_id: str) -> bool:
        """Tell whether a package is in the list of what arrived; a batch must be over for it."""
        return package_id in await self._page("/agency/evidence")

    async def evidence_page(self, package_id: str) -> str:
        """Return the page of one delivered package as the officer sees it."""
        return await self._page(f"/agency/evidence/{package_id}")

    async def download(self, package_id: str) -> bytes:
        """Download a sealed package by a presigned URL (the relay logs it)."""
        told = await self.api.post(f"/agency/evidence/{package_id}/download")
        try:
            async with httpx2.AsyncClient(trust_env=False) as bucket:
                answer = await bucket.get(told["url"])
        except httpx2.HTTPError as error:
            raise StoryError(f"the download: {type(error).__name__} {error}") from error
        if not answer.is_success or len(answer.content) != told["size_bytes"]:
            raise StoryError(f"the download ended with {answer.status_code}, {len(answer.content)}")
        return answer.content

    async def close(self) -> None:
        """Close all connections."""
        await self.api.close()

    async def _page(self, path: str) -> str:
        return await self.api.get_page(path)

    async def _take_csrf_token(self) -> None:
        page = await self._page("/agency")
        found = re.search(r'<meta name="csrf" content="([^"]+)"', page)
        if found is None:
            raise StoryError("the agency's page carries no CSRF token")
        self.api.http.headers["X-CSRF"] = html.unescape(found.group(1))

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        certificate = None if self.certificate is None else self.certificate.encode().decode()
        kept = {
            "officer_id": self.officer_id,
            "passkey": self._passkey.save(),
            "certificate": certificate,
        }
        self._file.write_text(json.dumps(kept, indent=1) + "\n")

    def _load(self) -> None:
        kept = json.loads(self._file.read_text())
        self.officer_id = kept["officer_id"]
        self._passkey = SoftPasskey.load(kept["passkey"])
        if kept["certificate"] is not None:
            self.certificate = decode(SignedCertificate, kept["certificate"].encode())


def page_data(page: str, element_id: str) -> Json:
    """Return the JSON that a page carries for its modules in the element of that id."""
    found = re.search(
        rf'<script type="application/json" id="{element_id}">(.*?)</script>', page, re.S
    )
    if found is None:
        raise StoryError(f"the page carries no {element_id}")
    data: Json = json.loads(found.group(1))
    return data
