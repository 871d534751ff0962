"""hvac, the Python client that others write."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from livebed.client import Client

__all__ = ["hvac_client"]


@contextmanager
def hvac_client(client: Client) -> Iterator[Any]:
    """Return hvac's client. Its own module warns about deprecated parts as it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import hvac

        made = hvac.Client(url=client.address, token=client.token)
        made.session.trust_env = False
        yield made
        made.session.close()
