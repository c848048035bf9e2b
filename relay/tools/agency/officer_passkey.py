"""An officer's passkey, made in a FIDO2 key on their own machine and registered by an invitation.

No page of the relay has a part in it: the public key comes from the key itself, the site and the
name from what was typed. Of the relay's word only the officer's id is taken, which is what the
account is called there. It can't be another's to any use: an agency certifies an id together with
one passkey, and who signs a request must have that passkey. Two officers of one id can't sign
together, and are revoked together: a relay that wants to be in the way can be, anyhow.
"""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec

from firmware.companion.authenticator.errors import PersonError
from firmware.companion.authenticator.fido_device import Devices, Person, hid_devices, make_passkey
from firmware.companion.authenticator.passkey import Attested, CreationWanted, Site
from firmware.companion.authenticator.relay_calls import (
    TIMEOUT_S,
    RegistrationChallenge,
    RelayCalls,
)
from firmware.protocol.encoding import Id, WireError
from firmware.protocol.plain_text import plain
from relay.agency.keys import OfficerFile


class JoiningRefused(PersonError):
    """The registration of the passkey failed, as far as this program can know."""


class _Joined(msgspec.Struct, frozen=True, kw_only=True):
    officer: OfficerFile


def join_with_fido_key(
    relay: str,
    site: Site,
    *,
    invitation: str,
    name: str,
    person: Person,
    devices: Devices = hid_devices,
) -> OfficerFile:
    """Return the officer file for the agency; raises PersonError or WireError.

    Waits for the PIN and a touch.
    """
    secret = invitation_secret(invitation, site)
    with httpx2.Client(timeout=TIMEOUT_S) as http:
        return join(
            RelayCalls(http, relay, under="agency", origin=site.origin),
            site,
            invitation=secret,
            name=name,
            make=lambda wanted: make_passkey(site, wanted, person=person, devices=devices),
        )


def join(
    calls: RelayCalls,
    site: Site,
    *,
    invitation: str,
    name: str,
    make: Callable[[CreationWanted], Attested],
) -> OfficerFile:
    """Register the passkey from `make`; raises AccountFailed, KeyRefused or JoiningRefused."""
    body = {"invitation": invitation, "name": name}
    begun = calls.send(RegistrationChallenge, "POST", "register/options", body)
    if begun.options.rp.id != site.rp_id:
        raise JoiningRefused(
            f"the relay's officers sign for {plain(begun.options.rp.id)}, not for {site.rp_id}: "
            "give the address of its pages with --page-origin, if you know it from elsewhere"
        )
    try:
        officer_id = msgspec.convert(begun.options.user_id.decode(), Id)
        attested = make(begun.options)
    except (WireError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise JoiningRefused(f"the relay began a registration that can't be: {error}") from error
    own = OfficerFile(officer_id=officer_id, name=name, passkey=attested.key)
    credential = {"session": begun.session, "credential": attested.credential()}
    told = calls.send(_Joined, "POST", "register/verify", credential)
    if told.officer != own:
        raise JoiningRefused(
            "the relay says that it registered another officer or passkey than this one: nothing "
            "was written; tell your agency, and don't use this invitation again"
        )
    return own


def invitation_secret(link: str, site: Site) -> str:
    """Return the secret of the operator's link, or given alone; raises JoiningRefused."""
    text = "".join(link.split())
    if "://" not in text:
        return text
    parts = urlsplit(text)
    origin = f"{parts.scheme}://{parts.netloc}"
    if origin != site.origin:
        raise JoiningRefused(
            f"the invitation is for {plain(origin)}, not for {site.origin}: ask the operator which "
            "of them is the relay's address"
        )
    found = parse_qs(parts.query).get("invitation", [])
    if len(found) != 1:
        raise JoiningRefused("this link holds no invitation: it ends in /agency/join?invitation=…")
    return found[0]
