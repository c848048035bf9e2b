"""firmware.enrolment: the owners' file."""

import stat
from pathlib import Path

import msgspec
import pytest

from firmware.enrolment.owners import OwnerStore
from firmware.errors import StoreError
from firmware.protocol.encoding import canonical
from firmware.protocol.grants import OwnerKeys
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser

BROWSER = SoftBrowser.create().keys


def owner(name: str = "Ada", credential_id: str = "Y3JlZA") -> OwnerKeys:
    made = SoftPasskey.create(rp_id="localhost", origin="http://localhost").key
    passkey = msgspec.structs.replace(made, credential_id=credential_id)
    return OwnerKeys(name=name, passkey=passkey, browser=BROWSER)


def test_owners_survive_a_restart_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    store = OwnerStore(path)
    store.add(owner("Ada", "YQ").owner)
    bo = owner("Bo", "Yg").owner
    store.add(bo)
    again = OwnerStore(path)
    assert [known.name for known in again.owners] == ["Ada", "Bo"]
    assert again.find("Yg") == bo
    assert again.find("eA") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_owners_of_the_first_version_stay_owners_and_have_no_browser(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    ada = owner("Ada")
    old = {"name": ada.name, "note_key": "AQ", "passkey": msgspec.to_builtins(ada.passkey)}
    path.write_bytes(canonical({"owners": [old], "v": 1}))
    store = OwnerStore(path)
    assert store.owners == (ada.owner,)
    store.add(owner("Bo", "Yg").owner)
    assert [known.name for known in OwnerStore(path).owners] == ["Ada", "Bo"]


def test_the_same_passkey_is_one_owner(tmp_path: Path) -> None:
    store = OwnerStore(tmp_path / "owners.json")
    store.add(owner("Ada").owner)
    store.add(owner("Ada Lovelace").owner)
    assert [known.name for known in store.owners] == ["Ada Lovelace"]


def test_a_damaged_owners_file_is_never_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "owners.json"
    path.write_bytes(b'{"v":1}')
    with pytest.raises(StoreError):
        OwnerStore(path)
