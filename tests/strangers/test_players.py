"""Players of others by WHEP."""

import pytest


@pytest.mark.skip(
    reason="pion's WHEP client needs modules of Go's, which neither PyPI, npm nor Debian has; "
    "aiortc and Chromium play by WHEP in tests/flows"
)
def test_pions_client_plays_by_whep():
    raise NotImplementedError
