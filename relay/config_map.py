"""The officers' map in relay.toml: an operator's own files of streets and of places' names."""

from dataclasses import dataclass
from pathlib import Path

from relay.config_table import Table
from relay.config_values import parse_text_or_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class MapConfig:
    """Both files may be missing: then outlines are drawn, and coordinates searched."""

    pmtiles_path: Path | None = None
    attribution: str = ""
    places_path: Path | None = None


NO_MAP = MapConfig()


def map_of(map_: Table, folder: Path) -> MapConfig:
    """Return what [map] says; relative paths are relative to `folder`."""
    pmtiles = map_.take("pmtiles", parse_text_or_nothing, "a file", default="")
    places = map_.take("places", parse_text_or_nothing, "a file", default="")
    return MapConfig(
        pmtiles_path=folder / pmtiles if pmtiles else None,
        attribution=map_.take("attribution", parse_text_or_nothing, "one line", default=""),
        places_path=folder / places if places else None,
    )
