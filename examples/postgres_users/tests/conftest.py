"""A PostgreSQL server that the tests share, and what they look at in it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from database_servers import ROOT_PASSWORD, ROOT_USER, PostgreSQL, run_postgresql, why_no_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of the tests' own; skips where there is no PostgreSQL."""
    reason = why_no_postgresql()
    if reason:
        pytest.skip(reason)
    with run_postgresql() as running:
        yield running


@pytest.fixture
def root(postgresql: PostgreSQL) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection of the superuser."""
    with psycopg.connect(postgresql.url(ROOT_USER, ROOT_PASSWORD), autocommit=True) as connection:
        yield connection
