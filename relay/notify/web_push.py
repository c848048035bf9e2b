"""Web Push: its subscriptions, its sending task and its look at silent doorbells, as one part."""

from relay.base.clock import Clock
from relay.config.settings import Config
from relay.fleet.members import Members
from relay.notify.push_endpoints import Endpoints
from relay.notify.push_key import PushKey
from relay.notify.push_sender import PushSender, push_http
from relay.notify.push_subscriptions import PushSubscriptions
from relay.notify.pusher import Pusher
from relay.notify.silences import Silences
from relay.store.database import Database


class WebPush:
    """The relay's Web Push; `aclose` closes its connections."""

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Clock,
        *,
        machine: Clock | None = None,
        members: Members | None = None,
    ) -> None:
        """`machine` is the machine's own clock, if `clock` isn't: push services go by theirs."""
        self._http = push_http()
        key, endpoints = PushKey.load_or_create(config.push_key_path), Endpoints(config.push)
        self.subscriptions = PushSubscriptions(
            database=database, clock=clock, endpoints=endpoints, key=key
        )
        self.sender = PushSender(
            http=self._http,
            endpoints=endpoints,
            key=key,
            contact=config.push_contact,
            clock=machine or clock,
        )
        self.pusher = Pusher(database=database, clock=clock, sender=self.sender, members=members)
        self.silences = Silences(database=database, clock=clock, pusher=self.pusher)

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()
