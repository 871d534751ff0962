"""The answers to requests for help: a page and, beside it, the OpenAPI document of what it is about.

Layouts are in `authkit.framework.documents.help` and `authkit.framework.documents.openapi`; the latter is
imported when somebody asks.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any, Final

from cachetools import LRUCache

from authkit.framework.documents.help import path_page, root_page
from authkit.framework.routing.route_table import RouteTable
from authkit.framework.routing.routes import Route
from authkit.logical import BackendType, Request, Response, SystemView

__all__ = ["PREFIX_KEY", "HelpPages"]

PREFIX_KEY: Final = "requestResponsePrefix"
"""Under this key a host says how operation ids begin (Vault 1.21, vault/logical_system.go)."""

MAX_DOCUMENTS: Final = 8
"""Documents kept for each class, one for each prefix; a client may ask for any prefix."""

VERSION_TIMEOUT: Final = 2.0
"""Seconds that a page waits for the host to tell its version."""

logger = logging.getLogger("authkit.framework")


class HelpPages:
    """The help of one backend class. Made when the class is defined; documents on demand."""

    def __init__(
        self,
        text: str,
        table: RouteTable,
        backend_type: BackendType,
        *,
        version_timeout: float = VERSION_TIMEOUT,
    ) -> None:
        self._text = text
        self._table = table
        self._backend_type = backend_type
        self._version_timeout = version_timeout
        self._documents: LRUCache[str, dict[str, Any]] = LRUCache(MAX_DOCUMENTS)

    @classmethod
    def of(cls, backend: type, table: RouteTable, backend_type: BackendType) -> HelpPages:
        """Return the manual of a class: its docstring, or that of the class which it extends."""
        authors = [each for each in backend.__mro__ if each.__module__.partition(".")[0] != "authkit"]
        text = next((each.__doc__ for each in authors if each is not object and each.__doc__), "")
        return cls(inspect.cleandoc(text), table, backend_type)

    async def explain_all(self, system: SystemView, request: Request) -> Response:
        """Return the page of the whole backend."""
        from authkit.framework.documents.openapi import describe_paths, read_prefix

        prefix = read_prefix(request.data.get(PREFIX_KEY))
        paths = self._documents.get(prefix)
        if paths is None:
            paths = describe_paths(self._table.routes, self._backend_type, prefix)
            self._documents[prefix] = paths
        return await self._answer(root_page(self._text, self._table.routes), paths, system)

    async def explain(self, route: Route, system: SystemView, request: Request) -> Response:
        """Return the page of one path."""
        from authkit.framework.documents.openapi import describe_paths, read_prefix

        paths = describe_paths([route], self._backend_type, read_prefix(request.data.get(PREFIX_KEY)))
        return await self._answer(path_page(request.path, route), paths, system)

    async def _answer(self, page: str, paths: dict[str, Any], system: SystemView) -> Response:
        from authkit.framework.documents.openapi import make_document

        document = make_document(paths, await self._host_version(system))
        return Response(data={"help": page, "see_also": None, "openapi": document})

    async def _host_version(self, system: SystemView) -> str:
        """Return the host's version. A failing host call must not break help, as it does in the SDK."""
        import asyncio

        from authkit.framework.documents.openapi import UNKNOWN_VERSION

        try:
            async with asyncio.timeout(self._version_timeout):
                environment = await system.plugin_env()
        except Exception:
            logger.debug("the host does not tell its version", exc_info=True)
            return UNKNOWN_VERSION
        return environment.vault_version or UNKNOWN_VERSION
