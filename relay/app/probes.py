"""Probes: what a supervisor, a balancer and an operator ask of one relay process.

/livez    it runs: whoever gets no answer restarts it
/readyz   it may be sent requests: not before it is up, without broker or database, or while it
          ends. A database that fails over counts as there, as requests wait for it for as long
          (`failover_s`). A bucket that is away doesn't count: it is away for each process, and
          most pages don't need it.
/healthz  all that it depends on answers, the bucket too
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

PROBES = ("/healthz", "/livez", "/readyz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health report: which parts answer."""

    is_broker_up: bool
    is_bucket_up: bool
    is_database_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a process may be sent requests; it serves neither before it is up nor as it ends."""

    is_broker_up: bool
    is_database_up: bool
    is_serving: bool


def probe_routes(
    check_health: Callable[[], Awaitable[Health]],
    check_ready: Callable[[], Awaitable[Readiness]],
) -> Sequence[Route]:
    """Return the routes of the probes."""

    async def healthz(_request: Request) -> Response:
        return _answer(await check_health())

    async def readyz(_request: Request) -> Response:
        return _answer(await check_ready())

    async def livez(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    return [Route("/healthz", healthz), Route("/livez", livez), Route("/readyz", readyz)]


def build_probes(
    check_health: Callable[[], Awaitable[Health]],
    check_ready: Callable[[], Awaitable[Readiness]],
) -> ASGIApp:
    """Return the whole application of a process that isn't in the role `web`."""
    return Starlette(routes=[*probe_routes(check_health, check_ready)])


def _answer(report: Health | Readiness) -> Response:
    parts = {key.removeprefix("is_").removesuffix("_up"): it for key, it in asdict(report).items()}
    is_ok = all(parts.values())
    return JSONResponse({"ok": is_ok, **parts}, status_code=200 if is_ok else 503)
