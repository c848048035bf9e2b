"""Parsers of ids in paths, queries and bodies."""

from typing import Annotated

from pydantic import Field

from firmware.protocol.browsers import BROWSER_ID_PATTERN
from firmware.protocol.encoding import DEVICE_ID_PATTERN, ID_PATTERN

DeviceId = Annotated[str, Field(pattern=DEVICE_ID_PATTERN)]
BrowserId = Annotated[str, Field(pattern=BROWSER_ID_PATTERN)]
PairingId = Annotated[str, Field(pattern=ID_PATTERN)]
SessionId = Annotated[str, Field(pattern=ID_PATTERN)]
