"""The HTTP service of one running laboratory.

Only POST changes anything, and every POST says who asks. It listens on loopback and
answers to loopback names only, so no other site can reach it through a browser.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from alab.errors import AlabError, BadInput, DeviceError, InterlockError, TransitionError
from alab.laboratory import Laboratory
from alab.service.acting import StartCampaign, acting_routes
from alab.service.reading import reading_routes

log = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
LOOPBACK = ("127.0.0.1", "localhost")
PROBLEM = "application/problem+json"
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"

STATUS_CODES: tuple[tuple[type[AlabError], int], ...] = (
    (BadInput, 400),
    (TransitionError, 409),
    (InterlockError, 409),
    (DeviceError, 502),
    (AlabError, 500),
)


def make_app(
    laboratory: Laboratory,
    *,
    start_campaign: StartCampaign,
    prefect_url: str,
    allowed_hosts: Sequence[str] = LOOPBACK,
) -> FastAPI:
    """Make the service of a laboratory.

    Args:
        laboratory: The laboratory; the service must run in its event loop.
        start_campaign: Writes a campaign down and starts its flow; awaited as it is,
            outside the participants of a virtual clock.
        prefect_url: Address of the Prefect dashboard, for the link on the page.
        allowed_hosts: Host names it answers to.
    """
    app = FastAPI(title="alab", docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_exception_handler(AlabError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_form)
    app.include_router(reading_routes(laboratory, prefect_url))
    app.include_router(acting_routes(laboratory, start_campaign))

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(
            PAGE / "index.html",
            headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"},
        )

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def status_code(error: AlabError) -> int:
    """The HTTP status that says the same as an error."""
    return next(code for kind, code in STATUS_CODES if isinstance(error, kind))


def _problem(code: int, title: str, detail: str) -> JSONResponse:
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": code, "detail": detail},
        status_code=code,
        media_type=PROBLEM,
    )


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AlabError)  # noqa: S101
    return _problem(status_code(error), type(error).__name__, str(error))


def _refuse_form(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    mistakes = [
        f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors()
    ]
    return _problem(422, BadInput.__name__, "\n".join(mistakes))
