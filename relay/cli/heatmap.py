"""The options of `doorward-relay heatmap …`: layers of open data on the theft map."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from relay.config.loader import load
from relay.config.settings import Config

if TYPE_CHECKING:
    from relay.heatmap.imports import ImportedLayer


def add_heatmap_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `heatmap` to the relay's command line."""
    text = "import open data as a layer of its own on the theft map, or remove such a layer"
    parser = commands.add_parser("heatmap", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "import a CSV file with the header cell,month or lat,lon,month (and may have ,count)"
    action = actions.add_parser("import", help=text, description=text)
    action.set_defaults(run=_import)
    action.add_argument("file", type=Path, metavar="FILE.csv", help="UTF-8, WGS 84, months 2026-11")
    action.add_argument("--name", required=True, help="the layer's name; it replaces that layer")
    action.add_argument("--licence", required=True, help="whose data it is, and on which terms")
    action.add_argument(
        "--threshold",
        type=int,
        required=True,
        metavar="N",
        help="cells with fewer thefts stay blank",
    )
    action.add_argument("--config", type=Path, required=True, metavar="relay.toml")
    text = "remove an imported layer"
    action = actions.add_parser("remove", help=text, description=text)
    action.set_defaults(run=_remove)
    action.add_argument(
        "layer", metavar="ID", help="as in its address, /theft-map/imported/ID.json"
    )
    action.add_argument("--config", type=Path, required=True, metavar="relay.toml")


def _import(options: argparse.Namespace) -> int:
    layer = asyncio.run(_add(load(options.config), options))
    shown = sum(len(band.cells) for band in layer.bands)
    print(f"{layer.name}: {layer.first_month} to {layer.last_month}, cells shown: {shown}")
    print(f"  /theft-map?layer={layer.id}")
    return 0


async def _add(config: Config, options: argparse.Namespace) -> "ImportedLayer":
    from relay.cli.register import clock_in
    from relay.heatmap.imports import Imports
    from relay.store.database import Database

    database = await Database.open(config.database)
    try:
        imports = Imports(database, clock_in(config), is_example=bool(config.example_town))
        return await imports.add(
            options.file, name=options.name, licence=options.licence, least=options.threshold
        )
    finally:
        await database.close()


def _remove(options: argparse.Namespace) -> int:
    asyncio.run(_take_out(load(options.config), options.layer))
    print(f"removed {options.layer}")
    return 0


async def _take_out(config: Config, layer_id: str) -> None:
    from relay.cli.register import clock_in
    from relay.heatmap.imports import Imports
    from relay.store.database import Database

    database = await Database.open(config.database)
    try:
        await Imports(database, clock_in(config), is_example=False).remove(layer_id)
    finally:
        await database.close()
