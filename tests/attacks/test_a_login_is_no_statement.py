"""A relay chooses the challenge of each login. One that it makes of a statement gets it nothing:
what a passkey signs to log in is made of that challenge, and is no statement's.
"""

from dataclasses import replace

import pytest

from firmware.consent.facts import BrowserFact, Refusal
from firmware.consent.verifier import judge
from firmware.protocol.decisions import EndBrowser
from firmware.protocol.encoding import b64u
from firmware.protocol.grants import STATEMENT_TAG, SignedStatement
from firmware.protocol.passkeys import Assertion, challenge
from firmware.protocol.rights import owners_right
from tests.fakes.consent_world import make_world
from tests.story.browser import SoftBrowser


@pytest.mark.parametrize("text", ["as bytes", "as text"])
async def test_a_statement_that_a_login_was_abused_to_sign_is_refused(text: str) -> None:
    world, browser = make_world(), SoftBrowser.create()
    fact = BrowserFact(
        credential_id=world.owner.key.credential_id, keys=browser.keys, right=owners_right(None)
    )
    facts = replace(world.facts, browsers={browser.keys.id: fact})
    statement = world.statement(EndBrowser(browser=browser.keys.id)).encode()
    wanted = challenge(STATEMENT_TAG, statement)
    given = b64u(wanted if text == "as bytes" else statement)
    told = world.owner.log_in({"challenge": given})["response"]
    assertion = Assertion(
        credential_id=world.owner.key.credential_id,
        authenticator_data=told["authenticatorData"],
        client_data_json=told["clientDataJSON"],
        signature=told["signature"],
    )
    forged = SignedStatement(statement=statement.decode(), assertion=assertion).encode()
    judged = judge(forged, facts)
    assert isinstance(judged, Refusal)
    assert judged.reason == "assertion"
