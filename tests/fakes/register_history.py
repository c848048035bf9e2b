"""Registers with all that can happen in one, in any order: what had effect, and what was void.

history = History(seed=7)
history.do("publish"); history.do("withdraw"); ...
history.entries
"""

import dataclasses
import random
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.register.entries import (
    Admin,
    AdminsChanged,
    AgencySuspended,
    LimitsChanged,
    OfficerLeaf,
    ProgramReleased,
    RefusedLeaf,
    RequestLeaf,
)
from firmware.protocol.requests import SignedCertificate, SignedRequest, certificate_message
from tests.fakes.log_town import CELL, DAY_MS, HOUR_MS, OTHER_CELL, make_town, sign_p256, spki_of


class History:
    """A town to which things happen; the same ones in the same order, but for keys and ids."""

    def __init__(self, seed: int = 0) -> None:
        self.town = make_town()
        self._chance = random.Random(seed)
        self._requests: list[SignedRequest] = []
        self._happenings: dict[str, Callable[[], object]] = {
            "publish": self._publish,
            "publish for an emergency": self._publish_for_an_emergency,
            "publish twice": self._publish_twice,
            "publish what another signed": self._publish_what_another_signed,
            "publish in one case": self._publish_in_one_case,
            "withdraw": self._withdraw,
            "renew": self._renew,
            "refuse": self._refuse,
            "certify": self._certify,
            "revoke": self._revoke,
            "agree anew": self._agree_anew,
            "change the agency's key": self._change_the_agencys_key,
            "suspend": self.town.suspend,
            "change limits": self._change_limits,
            "change admins": self._change_admins,
            "change without the right": self._change_without_the_right,
            "repeat a change": self._repeat_a_change,
            "release a program": self._release_a_program,
            "junk": self._junk,
        }

    @property
    def kinds(self) -> list[str]:
        """What can happen."""
        return list(self._happenings)

    @property
    def origin(self) -> str:
        return self.town.register_log.origin

    @property
    def entries(self) -> list[bytes]:
        return self.town.register_log.entries

    def do(self, kind: str) -> None:
        """Let a day pass, and something happen."""
        self.town.now_ms += DAY_MS + HOUR_MS
        self._happenings[kind]()

    def _append(self, signed: SignedRequest) -> None:
        self.town.append(RequestLeaf(signed=signed))
        self._requests.append(signed)

    def _publish(self) -> None:
        cells = self._chance.choice([[CELL], [OTHER_CELL], [CELL, OTHER_CELL]])
        case = f"LK-2026/{len(self.entries):04d}"
        self._append(self.town.sign(self.town.request(cells=cells, case_number=case)))

    def _publish_for_an_emergency(self) -> None:
        case = f"LK-2026/{len(self.entries):04d}"
        request = self.town.request(danger="To a child who is lost.", case_number=case)
        self._append(self.town.sign(request))

    def _publish_twice(self) -> None:
        self._publish()
        self.town.append(RequestLeaf(signed=self._requests[-1]))

    def _publish_what_another_signed(self) -> None:
        town, stranger = self.town, self.town.certify("Eve")
        request = town.request(officer_id=stranger.id, officer_name="Eve")
        town.append(RequestLeaf(signed=town.sign(request, officer=stranger)))

    def _publish_in_one_case(self) -> None:
        for _ in range(3):
            self.town.now_ms += DAY_MS
            self._append(self.town.sign(self.town.request(case_number="LK-2026/ALL")))

    def _withdraw(self) -> None:
        if self._requests:
            self.town.withdraw(self._chance.choice(self._requests))

    def _renew(self) -> None:
        """Renew a request that still stands; another, and it is void."""
        if not self._requests:
            self._publish()
        self.town.now_ms -= 2 * HOUR_MS  # the newest one stands for a day
        renewed = self._chance.choice(self._requests[-3:])
        told = msgspec.json.decode(renewed.request)
        request = self.town.request(
            renews=told["id"],
            cells=told["cells"],
            case_number=told["case_number"],
            from_ms=told["from_ms"],
            to_ms=told["to_ms"],
            danger=told.get("danger", ""),
        )
        self._append(self.town.sign(request))

    def _refuse(self) -> None:
        agency = self._chance.choice([self.town.agreement.agency, "nobody-knows"])
        category = self._chance.choice(["assembly", "worship"])
        self.town.append(RefusedLeaf(agency=agency, category=category))

    def _certify(self) -> None:
        self.town.officer = self.town.add_officer("Officer Vik")
        self.town.cosigner = self.town.add_officer("Sergeant Moe", role="approver")

    def _revoke(self) -> None:
        self.town.revoke(self.town.officer, by=self._chance.choice(["ann", "lakeland-police"]))

    def _agree_anew(self) -> None:
        self.town.make_agreement(merged=[[CELL, OTHER_CELL]] if self._chance.random() < 0.3 else [])

    def _change_the_agencys_key(self) -> None:
        """The officers' certificates of before are certified anew, in the same words."""
        town = self.town
        town.agency_key = ec.generate_private_key(ec.SECP256R1())
        town.make_agreement(signing_key=spki_of(town.agency_key))
        for name in ("officer", "cosigner"):
            officer = getattr(town, name)
            text = officer.certificate.certificate
            signature = sign_p256(town.agency_key, certificate_message(text.encode()))
            signed = SignedCertificate(certificate=text, signature=signature)
            town.append(OfficerLeaf(signed=signed))
            if self._chance.random() < 0.7:
                setattr(town, name, dataclasses.replace(officer, certificate=signed))

    def _change_limits(self) -> None:
        """Stricter, looser than ever, as at first, and so on."""
        known = self.town.register.limits
        most = (1, 5, 2)[(len(known) - 1) % 3]
        limits = msgspec.structs.replace(known[-1].limits, max_per_case=most)
        self.town.append(self.town.change(LimitsChanged(limits=limits)))

    def _change_admins(self) -> None:
        admins = [
            Admin(id=one, name=self._chance.choice(["A. Bo", "B. Ek"]), key=spki_of(key))
            for one, key in self.town.admin_keys.items()
        ]
        self.town.append(self.town.change(AdminsChanged(admins=admins)))

    def _change_without_the_right(self) -> None:
        limits = self.town.register.limits[-1].limits
        self.town.append(self.town.change(LimitsChanged(limits=limits), by=("ann",)))

    def _repeat_a_change(self) -> None:
        change = self.town.change(AgencySuspended(agency=self.town.agreement.agency), by=("ann",))
        self.town.append(change, change)

    def _release_a_program(self) -> None:
        program = ProgramReleased(program="firmware", version="1", sha256="0" * 64)
        self.town.append(self.town.change(program))

    def _junk(self) -> None:
        junk = self._chance.choice([b"", b"{}", b"\xff", b'{"v":1,"body":{"type":"refused"}}'])
        self.town.register_log.append(junk, at_ms=self.town.now_ms)
