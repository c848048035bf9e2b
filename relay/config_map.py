"""The officers' map in relay.toml: an operator's own files of streets and of places' names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MapConfig:
    """Both files may be missing: then outlines are drawn, and coordinates searched."""

    pmtiles_path: Path | None = None
    attribution: str = ""
    places_path: Path | None = None


NO_MAP = MapConfig()
