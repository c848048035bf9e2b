"""How the doorbell is, as its own page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.clips.library import Library
from firmware.enrolment.pairing import FollowedRegister
from firmware.local_page.ports import DoorbellStatus, MicrophoneState
from firmware.protocol.events import Health, TroubleCode
from firmware.system.clock import Clock
from firmware.system.ownership import Ownership


class RelayLink(Protocol):
    """The link to the relay, as `firmware.link.link_session.LinkSession`."""

    @property
    def is_online(self) -> bool:
        """Whether the relay has let us in and still does."""
        ...


class KnownHealth(Protocol):
    """What was last found of the health, as `firmware.health.monitor.HealthMonitor`."""

    @property
    def health(self) -> Health | None:
        """The newest health; None before the first look."""
        ...

    @property
    def troubles(self) -> Sequence[TroubleCode]:
        """The troubles that there are now."""
        ...


class HearsOrNot(Protocol):
    """The microphone, as `firmware.sound.microphone.Microphone`."""

    @property
    def state(self) -> MicrophoneState:
        """Whether it is on; "none" without one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedTo:
    """The relay that enrolled the doorbell, and the public register that it follows."""

    relay_url: str
    register: FollowedRegister


class PageStatus:
    """Where the page's status is put together."""

    def __init__(
        self,
        *,
        device: str,
        door_url: str,
        owners: Ownership,
        clock: Clock,
        library: Library,
        link: RelayLink,
        health: KnownHealth,
        microphone: HearsOrNot,
        tied_to: TiedTo,
    ) -> None:
        self._device = device
        self._door_url = door_url
        self._owners = owners
        self._clock = clock
        self._library = library
        self._link = link
        self._health = health
        self._microphone = microphone
        self._tied_to = tied_to

    def status(self) -> DoorbellStatus:
        """Return how the doorbell is."""
        health = self._health.health
        return DoorbellStatus(
            device=self._device,
            is_paired=self._owners.has_owner(),
            is_online=self._link.is_online,
            is_clock_trusted=self._clock.is_trusted(),
            clip_count=self._library.count(),
            addresses=(self._door_url,),
            camera=health.camera if health else None,
            card_free_bytes=health.card_free_bytes if health else None,
            card_total_bytes=health.card_total_bytes if health else None,
            troubles=tuple(self._health.troubles),
            microphone=self._microphone.state,
            relay_url=self._tied_to.relay_url,
            register_origin=self._tied_to.register.origin,
            policy_digest=self._tied_to.register.policy_digest,
        )
