"""Status of a first boot: what is being done, what it waits for, and whom this doorbell belongs to.

`provision-status.json` on the card is for whoever puts the card into a PC. It has no secret, and is
written only when step, state, code or notices change: flash wears.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from provisioning.first_boot.errors import DocumentRefused
from provisioning.first_boot.host import Host
from provisioning.first_boot.invitation import parse_claim
from provisioning.first_boot.notices import Notice
from provisioning.first_boot.places import (
    CARD_CLAIM,
    CARD_POLICY,
    CLAIM,
    CURRENT,
    POLICY,
    STATUS,
)
from provisioning.first_boot.texts import advice_for

State = Literal["working", "waiting", "done"]
REGISTER = "/register"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Whom this doorbell will believe; pairing's words cover register and policy."""

    relay: str = ""
    register_origin: str = ""
    policy_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is so now."""

    step: str
    state: State
    code: str
    detail: str
    address: str
    name: str
    anchors: Anchors
    board: str
    version: str
    notices: tuple[Notice, ...]
    started_ms: int
    changed_ms: int

    def encode(self) -> bytes:
        """Return the file's bytes."""
        english = advice_for(self.code, "en")
        document = {
            "v": 1,
            "step": self.step,
            "state": self.state,
            "code": self.code,
            "text": english.text,
            "advice": english.advice,
            "detail": self.detail,
            "address": self.address,
            "name": self.name,
            "relay": self.anchors.relay,
            "register_origin": self.anchors.register_origin,
            "policy_digest": self.anchors.policy_digest,
            "board": self.board,
            "version": self.version,
            "notices": [
                {
                    "code": notice.code,
                    "text": advice_for(notice.code, "en").text,
                    "advice": advice_for(notice.code, "en").advice,
                    "detail": notice.detail,
                }
                for notice in self.notices
            ],
            "started_ms": self.started_ms,
            "changed_ms": self.changed_ms,
        }
        return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def anchors_of(host: Host, before: Anchors) -> Anchors:
    """Return relay, register and policy; what the card no longer says is as it was `before`."""
    policy = host.read(CARD_POLICY)
    if policy is None:
        policy = host.read(POLICY)
    return Anchors(
        relay=_relay(host) or before.relay,
        register_origin=_register_origin(policy or b"") or before.register_origin,
        policy_digest=hashlib.sha256(policy or b"").hexdigest(),
    )


def stored_anchors(host: Host) -> Anchors:
    """Return what the status on the card says; nothing if there is none."""
    document = _stored(host)
    return Anchors(
        relay=str(document.get("relay", "")),
        register_origin=str(document.get("register_origin", "")),
    )


def stored_code(host: Host) -> str:
    """Return the code of the status on the card, or nothing."""
    return str(_stored(host).get("code", ""))


def _stored(host: Host) -> dict[str, object]:
    try:
        document = json.loads(host.read(STATUS) or b"")
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def installed_version(host: Host) -> str:
    """Return the version that `current` leads to, or nothing."""
    link = host.path(CURRENT)
    return link.readlink().name if link.is_symlink() else ""


def _relay(host: Host) -> str:
    for path in (CARD_CLAIM, CLAIM):
        data = host.read(path)
        if data is None:
            continue
        try:
            return parse_claim(data).relay_url
        except DocumentRefused:
            continue
    return ""


def _register_origin(policy: bytes) -> str:
    """Return the name of the log that ends with /register: `log NAME+id+key URL`."""
    for line in policy.decode(errors="replace").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "log":
            name = words[1].partition("+")[0]
            if name.endswith(REGISTER):
                return name
    return ""
