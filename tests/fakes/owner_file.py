"""The values of a doorbell's own file, as tests have them: the defaults."""

from firmware.config.owner_settings import file_settings
from firmware.config.settings import Config, PlaceConfig
from firmware.protocol.decisions import FileSettings, MaskPolygon

RING_BYTES = 16_000_000


def file_of(*, cell: str = "", **tables: object) -> FileSettings:
    """Return what the owners of a doorbell with this file are told."""
    config = Config(place=PlaceConfig(cell=cell), **tables)  # type: ignore[arg-type]
    return file_settings(config, ring_max_bytes=RING_BYTES)


class FileValues:
    """A `firmware.decisions.facts.FileValues`."""

    def __init__(self, *, cell: str = "") -> None:
        self.file = file_of(cell=cell)
        self.file_zones: list[MaskPolygon] = []
