"""The API's routes and error handlers, as one app.

Its description is at /api/v1/openapi.json.
"""

from fastapi import FastAPI

from relay.api import (
    account_deletion,
    accounts,
    credit,
    doorbells,
    event_retention,
    feed,
    heatmap,
    live,
    pairing,
    push,
    reads,
    requests,
    sessions,
    thumbnails,
    viewers,
)
from relay.api.errors import add_error_handlers
from relay.api.services import ApiServices


def build_api(services: ApiServices) -> FastAPI:
    """Return the API as an app to be mounted at /api/v1."""
    app = FastAPI(
        title="Doorward relay",
        description="JSON for the owner's app. The relay carries; it is trusted with nothing.",
        version="1",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/api/v1"}],
        responses={"4XX": {"description": "It is refused; the error says why, as JSON"}},
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for module in (
        accounts,
        account_deletion,
        event_retention,
        sessions,
        reads,
        pairing,
        doorbells,
        live,
        thumbnails,
        viewers,
        push,
        requests,
        heatmap,
        credit,
        feed,
    ):
        app.include_router(module.router, tags=[module.__name__.rpartition(".")[2]])
    add_error_handlers(app)
    return app
