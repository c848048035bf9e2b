"""Step "invitation": takes `doorward.json`, which a person put on the card with a PC, apart.

Its claim and policy go where a flasher puts them, its network into netplan's folder, and the file
goes. That holds on every boot until the doorbell has an owner: from then on whoever can reach the
card mustn't choose the network. Once it is enrolled, network and policy are all that is taken: the
system can't be written then.
"""

import json

from provisioning import netplan
from provisioning.first_boot.errors import DocumentRefused, StepFailed
from provisioning.first_boot.fields import MAX_DOCUMENT_BYTES
from provisioning.first_boot.host import Host
from provisioning.first_boot.invitation import Invitation, parse_invitation
from provisioning.first_boot.network import store_network
from provisioning.first_boot.places import (
    CARD_CLAIM,
    CARD_POLICY,
    ENROLMENT,
    INVITATION,
    OWNERS,
    POLICY,
)
from provisioning.first_boot.read_only import writable_root
from provisioning.first_boot.remote_login import allow_login

HOSTNAME = "/etc/hostname"


class InvitationFile:
    """The step."""

    name = "invitation"

    def is_done(self, host: Host) -> bool:
        """Return whether there is no such file."""
        return not host.exists(INVITATION)

    def do(self, host: Host) -> None:
        """Take it apart, and remove it."""
        data = host.read(INVITATION, max_bytes=MAX_DOCUMENT_BYTES)
        if data is None:
            return
        if is_owned(host):
            raise StepFailed(
                "invitation_owned",
                "this doorbell has an owner: a file on its card changes nothing",
                will_retry=False,
            )
        try:
            invitation = parse_invitation(data)
        except DocumentRefused as error:
            raise StepFailed("invitation_refused", str(error), will_retry=False) from error
        _store(host, invitation)
        host.remove(INVITATION)


def is_owned(host: Host) -> bool:
    """Return whether the doorbell has an owner. A damaged list of owners isn't an empty one."""
    data = host.read(OWNERS)
    if data is None:
        return False
    try:
        return bool(json.loads(data)["owners"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return True


def _store(host: Host, invitation: Invitation) -> None:
    if invitation.policy is not None:
        policy = invitation.policy.encode()
        host.write(CARD_POLICY, policy)
        if host.read(POLICY) not in (None, policy):
            host.write(POLICY, policy)
            host.run("systemctl", "try-restart", "doorward.service")
    if invitation.network is not None:
        store_network(host, netplan.network_config(invitation.network))
    if host.exists(ENROLMENT):
        return
    if invitation.name is not None or invitation.ssh_key is not None:
        with writable_root(host):  # after a factory reset the system is read-only already
            _store_system(host, invitation)
    host.write(CARD_CLAIM, invitation.claim.encode())


def _store_system(host: Host, invitation: Invitation) -> None:
    if invitation.name is not None:
        host.write(HOSTNAME, invitation.name.lower().encode() + b"\n")
        host.run("hostname", invitation.name.lower())
    if invitation.ssh_key is not None:
        allow_login(host, invitation.ssh_key)
