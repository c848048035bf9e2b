"""Wiring of the link to the relay: events ─► outbox ─► link (MQTT), and commands back.

It exists before the parts that use it: events wait in the outbox, and the command handler is set
once the link runs.
"""

from importlib.metadata import version

from firmware.app.site import Site
from firmware.enrolment.client import CERTIFICATE_FILE, Enroller
from firmware.enrolment.cloned_identity import ClonedIdentity
from firmware.enrolment.new_identity import NewIdentity
from firmware.enrolment.renewal import CertificateRenewal
from firmware.enrolment.shard_move import ShardMove
from firmware.enrolment.shards import ShardGuide
from firmware.link.boot_list import BootList
from firmware.link.link_session import Identity, LinkSession
from firmware.link.mqtt import BrokerAddress
from firmware.outbox.publisher import EventWriter
from firmware.outbox.queue import Outbox


class RelayWay:
    """Outbox, publisher and link of one enrolled doorbell."""

    def __init__(self, site: Site) -> None:
        data_dir, keys, enrolment = site.config.data_dir, site.keys, site.enrolment
        self.outbox = Outbox(data_dir / "outbox.sqlite3", keys.device, boot=site.clock.boot_id)
        self.identity = ClonedIdentity(data_dir / "cloned.json", keys.device)
        self.new_identity = NewIdentity(
            data_dir=data_dir,
            keys=keys,
            enrolment=enrolment,
            identity=self.identity,
            http=site.http,
            source=site.source,
        )
        self.events = EventWriter(self.outbox, site.clock, boot=site.clock.boot_id)
        self.link = LinkSession(
            identity=Identity(
                device=keys.device, boot_id=site.boot_id, version=version("doorward")
            ),
            address=BrokerAddress(
                host=enrolment.broker_host,
                port=enrolment.broker_port,
                ca_file=data_dir / "ca.pem",
                certificate_file=data_dir / CERTIFICATE_FILE,
                key_file=keys.identity_file,
            ),
            outbox=self.outbox,
            clock=site.clock,
            source=site.source,
            boots=BootList(data_dir / "boots.json"),
        )
        guide = ShardGuide(
            data_dir=data_dir,
            policy_path=site.config.log.policy_path,
            http=site.http,
            clock=site.clock,
        )
        self.shard_move = ShardMove(
            data_dir=data_dir,
            relay_url=enrolment.relay_url,
            keys=keys,
            enroller=Enroller(
                data_dir=data_dir,
                claim_file=site.config.claim_file,
                keys=keys,
                http=site.http,
                source=site.source,
            ),
            guide=guide,
        )
        self.renewal = CertificateRenewal(
            data_dir=data_dir,
            relay_url=enrolment.relay_url,
            keys=keys,
            http=site.http,
            link=self.link,
            clock=site.clock,
            source=site.source,
            moves=self.shard_move,
        )
        self.link.refused.add(self.renewal.on_refused)
        self.link.let_in.add(self.renewal.on_let_in)
