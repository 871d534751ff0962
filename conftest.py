"""For the tests of the library and of the examples alike."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator

import pytest
from canaries import CanarySearch
from hypothesis import settings

# No test depends on how fast a machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Search for secrets in all that the run writes."""
    search = CanarySearch()
    config.pluginmanager.register(search, "canaries")
    logging.getLogger().addHandler(search)
    for name in ("authkit", "jwt_auth", "shared_pin", "postgres_users", "redis_acl"):
        logging.getLogger(name).setLevel(logging.DEBUG)  # as in a plugin


TASK_SECONDS = 1.0
"""For tasks that were cancelled at the end of a test to have ended."""


@pytest.fixture(autouse=True)
def no_task_is_left(request: pytest.FixtureRequest) -> None:
    """Fail a test that leaves a task behind: on a server it would go on for a caller who has left."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        # It is set up before the test's own fixtures, so that it ends after them.
        request.getfixturevalue("task_watch")


@pytest.fixture
async def task_watch() -> AsyncIterator[None]:
    """Compare the tasks of the event loop before and after a test with its fixtures."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=TASK_SECONDS)
    running = [task for task in left if not task.done()]
    assert not running, f"{len(running)} tasks are left: {running}"
