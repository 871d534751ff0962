"""What is counted: every metric with its name, labels and help, and what counts it.

Labels have few values, and no stranger chooses one: an operation, an outcome, where an operator has enabled a
mount. No role, no user, no address, no path of a request.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric

from authkit.logical import Backend, HasLevels, Levels
from authkit.measures.meter import Meter

__all__ = ["MAX_MOUNTS", "OTHER_MOUNTS", "PluginMeter", "build_facts"]

MAX_MOUNTS = 200
"""Mounts with figures of their own. An operator has few; each may bring a hundred lines to every answer."""

OTHER_MOUNTS = "other"
"""The label of all mounts beyond `MAX_MOUNTS`."""

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
"""From a login with keys at hand to the longest that a host waits for a provider."""

CALL_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0)
"""For calls to a host, a provider or a database."""


class PluginMeter(Meter):
    """The figures of this process. `backends` returns the mounts that are set up, from any thread."""

    def __init__(
        self, facts: dict[str, str], backends: Callable[[], Iterable[Backend]] | None = None
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._mounts: set[str] = set()
        self._requests = Counter(
            "authkit_requests",
            "Requests answered, by mount, operation and outcome.",
            ["mount", "operation", "outcome"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "authkit_request_duration_seconds",
            "Time from a request of the host to its answer.",
            ["operation"],
            buckets=REQUEST_SECONDS,
            registry=self.registry,
        )
        self._leases_issued = Counter(
            "authkit_leases_issued",
            "Credentials that a secrets engine gave out with a lease.",
            ["mount"],
            registry=self.registry,
        )
        self._leases_revoked = Counter(
            "authkit_leases_revoked", "Leases revoked.", ["mount"], registry=self.registry
        )
        self._storage_seconds = Histogram(
            "authkit_storage_call_duration_seconds",
            "Calls of the host's storage.",
            ["call", "outcome"],
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        self._provider_seconds = Histogram(
            "authkit_provider_request_duration_seconds",
            "Requests to identity providers.",
            ["outcome"],
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        self._documents = Counter(
            "authkit_document_fetches",
            "Fetches of key sets and of providers' metadata.",
            ["outcome"],
            registry=self.registry,
        )
        self._passwords = Counter(
            "authkit_rotations",
            "Passwords of static roles, and of engines themselves, that were to be set.",
            ["outcome"],
            registry=self.registry,
        )
        self._database_seconds = Histogram(
            "authkit_database_call_duration_seconds",
            "Calls of the host's database engine.",
            ["call", "outcome"],
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        Info(
            "authkit_build", "Versions of authkit, of the plugin and of Python.", registry=self.registry
        ).info(facts)
        ProcessCollector(registry=self.registry)

    def watch(self, backends: Callable[[], Iterable[Backend]]) -> None:
        """Have the mounts that are set up in the figures. `backends` is called from another thread."""
        self.registry.register(_Mounts(backends))

    # --- what is measured where requests come in -----------------------------------------------

    def request_answered(self, mount: str, operation: str, outcome: str, seconds: float) -> None:
        """Count a request of the host."""
        self._requests.labels(self._mount(mount), operation, outcome).inc()
        self._request_seconds.labels(operation).observe(seconds)

    def lease_issued(self, mount: str) -> None:
        """Count a credential with a lease."""
        self._leases_issued.labels(self._mount(mount)).inc()

    def lease_revoked(self, mount: str) -> None:
        """Count a revocation that succeeded."""
        self._leases_revoked.labels(self._mount(mount)).inc()

    def storage_called(self, call: str, outcome: str, seconds: float) -> None:
        """Count a call of the host's storage."""
        self._storage_seconds.labels(call, outcome).observe(seconds)

    def database_called(self, call: str, outcome: str, seconds: float) -> None:
        """Count a call of the host's database engine."""
        self._database_seconds.labels(call, outcome).observe(seconds)

    # --- authkit.measures ----------------------------------------------------------------------

    def provider_answered(self, outcome: str, seconds: float) -> None:
        """Count a request to an identity provider."""
        self._provider_seconds.labels(outcome).observe(seconds)

    def document_fetched(self, *, ok: bool) -> None:
        """Count a fetch of a key set or of a provider's metadata."""
        self._documents.labels(_outcome(ok)).inc()

    def password_set(self, *, ok: bool) -> None:
        """Count a rotation."""
        self._passwords.labels(_outcome(ok)).inc()

    # -------------------------------------------------------------------------------------------

    def _mount(self, path: str) -> str:
        """Return the label of a mount: where it is, as the host writes it, such as `auth/jwt/`."""
        # The accessor would stay the same when a mount is moved; hosts often leave it out.
        if path not in self._mounts:
            if len(self._mounts) >= MAX_MOUNTS:
                return OTHER_MOUNTS
            self._mounts.add(path)
        return path


class _Mounts:
    """What is read at the moment of a scrape. A collector of prometheus_client."""

    def __init__(self, backends: Callable[[], Iterable[Backend]]) -> None:
        self._backends = backends

    def collect(self) -> Iterator[Metric]:
        backends = list(self._backends())
        levels = [each.mount_levels() if isinstance(each, HasLevels) else Levels() for each in backends]
        yield GaugeMetricFamily("authkit_mounts", "Mounts that are set up.", len(backends))
        yield GaugeMetricFamily(
            "authkit_cached_objects",
            "Stored objects kept in memory.",
            sum(each.cached_objects for each in levels),
        )
        yield GaugeMetricFamily(
            "authkit_wal_entries",
            "Entries of write-ahead logs at the last tick of the host.",
            sum(each.wal_entries for each in levels),
        )


def build_facts(plugin: str, version: str) -> dict[str, str]:
    """Return what runs: the labels of `authkit_build_info`."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        own = installed("vault-authkit")
    except PackageNotFoundError:  # packed without the distribution's metadata
        own = ""
    return {"authkit": own, "plugin": plugin, "version": version, "python": platform.python_version()}


def _outcome(ok: bool) -> str:
    return "ok" if ok else "failed"
