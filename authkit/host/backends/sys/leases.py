"""`sys/leases/`: the leases of tokens, listed, looked up and revoked."""

from __future__ import annotations

from authkit.host.backends.router import Call, Routes, text_of
from authkit.host.messages import Answer, Failure
from authkit.host.state import HostState
from authkit.host.store.times import seconds_left, show_time

__all__ = ["add_lease_routes"]


def add_lease_routes(routes: Routes, state: HostState) -> None:
    """Serve the leases of a host."""
    leases = _Leases(state)
    routes.add("leases/lookup/(?P<prefix>.*)", list=leases.list_below)
    routes.add("leases/lookup", "lease_id", update=leases.lookup)
    for start in ("leases/", ""):
        routes.add(f"{start}renew(?:/(?P<url_lease_id>.+))?", "lease_id increment", update=leases.renew)
        routes.add(f"{start}revoke(?:/(?P<url_lease_id>.+))?", "lease_id sync", update=leases.revoke)
        routes.add(f"{start}revoke-prefix/(?P<prefix>.+)", "sync", update=leases.revoke_prefix)
        routes.add(f"{start}revoke-force/(?P<prefix>.+)", update=leases.revoke_prefix)


class _Leases:
    def __init__(self, state: HostState) -> None:
        self._state = state

    async def list_below(self, call: Call) -> Answer:
        prefix = call.data["prefix"]
        prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        keys = set()
        for token in self._state.tokens:
            if token.lease_id.startswith(prefix):
                head, slash, _ = token.lease_id[len(prefix) :].partition("/")
                keys.add(head + slash)
        return Answer(data={"keys": sorted(keys)} if keys else {})

    async def lookup(self, call: Call) -> Answer:
        token = self._state.tokens.find_lease(text_of(call.data, "lease_id"))
        if token is None:
            raise Failure(400, "invalid lease")
        data = {
            "expire_time": None,
            "id": token.lease_id,
            "issue_time": show_time(token.created),
            "last_renewal": show_time(token.renewed) if token.renewed else None,
            "renewable": token.renewable,
            "ttl": 0,
        }
        if token.expires is not None:
            left = seconds_left(token.expires, self._state.clock.now())
            data |= {"expire_time": show_time(token.expires), "ttl": left}
        return Answer(data=data)

    async def renew(self, call: Call) -> None:
        """Refuse: only tokens have leases here."""
        lease_id = text_of(call.data, "lease_id") or text_of(call.data, "url_lease_id")
        if not lease_id:
            raise Failure(400, "lease_id must be specified")
        known = self._state.tokens.find_lease(lease_id) is not None
        raise Failure(400, "tokens cannot be renewed through this endpoint" if known else "lease not found")

    async def revoke(self, call: Call) -> None:
        lease_id = text_of(call.data, "lease_id") or text_of(call.data, "url_lease_id")
        if not lease_id:
            raise Failure(400, "lease_id must be specified")
        token = self._state.tokens.find_lease(lease_id)
        if token is not None:
            await self._state.tokens.revoke(token.key)

    async def revoke_prefix(self, call: Call) -> None:
        prefix = call.data["prefix"].removesuffix("/")
        exact = self._state.tokens.find_lease(prefix)
        if exact is not None:
            await self._state.tokens.revoke(exact.key)
        await self._state.tokens.revoke_below(f"{prefix}/")
