"""What the client refuses before it asks."""

import httpx
import pytest

from alab.client import LabClient
from alab.errors import BadInput


def refuse_to_answer(request: httpx.Request) -> httpx.Response:
    raise AssertionError(request.url)


@pytest.mark.parametrize("path", ["campaigns/", "samples//why", "stock//refill"])
def test_an_empty_name_is_refused(path: str) -> None:
    client = LabClient("http://127.0.0.1", transport=httpx.MockTransport(refuse_to_answer))
    with client, pytest.raises(BadInput, match="the name is empty"):
        client.get(path)
