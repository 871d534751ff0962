"""What is counted: every metric with its name, labels and help, and what counts it.

Labels have few values, and no stranger chooses one: an operation, an outcome, where an operator has enabled a
mount. No role, no user, no address, no path of a request.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, wraps
from typing import Any, Final, ParamSpec

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric

from authkit.logical import Backend, Gauges, HasGauges
from authkit.meter import Meter

__all__ = [
    "MAX_MOUNTS",
    "OTHER_MOUNTS",
    "OUTCOMES",
    "PROVIDER_OUTCOMES",
    "PluginMeter",
    "build_facts",
    "harmless",
]

MAX_MOUNTS: Final = 200
"""Mounts with metrics of their own. An operator has few; each may bring a hundred lines to every answer."""

MAX_MOUNT_CHARACTERS: Final = 256
"""Of a mount with metrics of its own. A server takes paths of a megabyte, which each line would repeat."""

OTHER_MOUNTS: Final = "other"
"""The label of all mounts beyond `MAX_MOUNTS` and `MAX_MOUNT_CHARACTERS`."""

OUTCOMES: Final = ("granted", "ok", "denied", "invalid", "limited", "forwarded", "error", "cancelled")
"""What a request may come to."""

PROVIDER_OUTCOMES: Final = ("ok", "refused", "failed", "timeout", "cancelled")
"""What a request to an identity provider may come to."""

REQUEST_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""From a login with keys at hand to the longest that a host waits for a provider."""

CALL_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0)
"""For calls to a host, a provider or a database."""

P = ParamSpec("P")

log = logging.getLogger(__name__)


def harmless(count: Callable[P, None]) -> Callable[P, None]:
    """Let no fault in counting change what is counted, such as an answer: only the first is logged."""
    is_told = False

    @wraps(count)
    def counted(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal is_told
        try:
            count(*args, **kwargs)
        except Exception:
            if not is_told:
                is_told = True
                log.exception("metrics are not complete: something could not be counted")

    return counted


class PluginMeter(Meter):
    """The metrics of this process. `facts` say what runs: see `build_facts`."""

    def __init__(self, facts: dict[str, str]) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._mounts: set[str] = set()
        counter = partial(_Counter, registry=self.registry)
        histogram = partial(_Histogram, registry=self.registry)
        self._requests = counter("authkit_requests", "Requests of the host.", "mount", "operation", "outcome")
        self._request_seconds = histogram(
            "authkit_request_duration_seconds", "Requests of the host.", "operation", buckets=REQUEST_SECONDS
        )
        self._leases_issued = counter("authkit_leases_issued", "Credentials given out with a lease.", "mount")
        self._leases_revoked = counter("authkit_leases_revoked", "Leases revoked.", "mount")
        self._storage_seconds = histogram(
            "authkit_storage_call_duration_seconds", "Calls of the host's storage.", "call", "outcome"
        )
        self._provider_seconds = histogram(
            "authkit_provider_request_duration_seconds", "Requests to identity providers.", "outcome"
        )
        self._documents = counter(
            "authkit_document_fetches", "Fetches of key sets and of providers' metadata.", "outcome"
        )
        self._rotations = counter(
            "authkit_rotations", "New passwords of static roles, and of engines themselves.", "outcome"
        )
        self._database_seconds = histogram(
            "authkit_database_call_duration_seconds",
            "Calls of the host's database engine.",
            "call",
            "outcome",
        )
        # Of a counter that begins with 1 Prometheus sees no increase.
        for each in (self._documents, self._rotations):
            each.begin((outcome,) for outcome in ("ok", "failed"))
        self._provider_seconds.begin((outcome,) for outcome in PROVIDER_OUTCOMES)
        build = Info("authkit_build", "Versions of authkit, plugin and Python.", registry=self.registry)
        build.info(facts)
        ProcessCollector(namespace="authkit", registry=self.registry)

    def watch(self, backends: Callable[[], Iterable[Backend]]) -> None:
        """Have the mounts that are set up in the metrics. `backends` is called from another thread."""
        self.registry.register(_Mounts(backends))

    # --- what is measured where requests come in -----------------------------------------------

    def request_answered(self, mount: str, operation: str, outcome: str, seconds: float) -> None:
        """Count a request of the host."""
        labels = (self._label(mount), operation, outcome)
        if labels not in self._requests:
            # As above.
            self._requests.begin((*labels[:2], each) for each in OUTCOMES)
        self._requests[labels].inc()
        self._request_seconds[operation,].observe(seconds)

    def lease_issued(self, mount: str) -> None:
        """Count a credential with a lease."""
        self._leases_issued[self._label(mount),].inc()

    def lease_revoked(self, mount: str) -> None:
        """Count a revocation that succeeded."""
        self._leases_revoked[self._label(mount),].inc()

    @harmless
    def storage_called(self, call: str, outcome: str, seconds: float) -> None:
        """Count a call of the host's storage."""
        self._storage_seconds[call, outcome].observe(seconds)

    @harmless
    def database_called(self, call: str, outcome: str, seconds: float) -> None:
        """Count a call of the host's database engine."""
        self._database_seconds[call, outcome].observe(seconds)

    # --- authkit.meter -------------------------------------------------------------------------

    @harmless
    def provider_answered(self, outcome: str, seconds: float) -> None:
        """Count a request to an identity provider."""
        self._provider_seconds[outcome,].observe(seconds)

    @harmless
    def document_fetched(self, *, ok: bool) -> None:
        """Count a fetch of a key set or of a provider's metadata."""
        self._documents[_outcome(ok),].inc()

    @harmless
    def password_set(self, *, ok: bool) -> None:
        """Count a rotation."""
        self._rotations[_outcome(ok),].inc()

    # -------------------------------------------------------------------------------------------

    def _label(self, mount: str) -> str:
        """Return the label of a mount: where it is, as the host writes it, such as `auth/jwt/`."""
        # The accessor would stay the same when a mount is moved; hosts often leave it out.
        if mount not in self._mounts:
            if len(self._mounts) >= MAX_MOUNTS or len(mount) > MAX_MOUNT_CHARACTERS:
                return OTHER_MOUNTS
            self._mounts.add(mount)
        return mount


class _Children(dict[tuple[str, ...], Any]):
    """A metric by its labels: looking one up by `labels` would take longer than counting."""

    def __init__(self, metric: Counter | Histogram) -> None:
        self._metric = metric

    def begin(self, all_labels: Iterable[tuple[str, ...]]) -> None:
        """Have these with the value 0, where they are not there yet."""
        for labels in all_labels:
            self[labels]

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        child = self[labels] = self._metric.labels(*labels)
        return child


class _Counter(_Children):
    def __init__(self, name: str, help: str, *labels: str, registry: CollectorRegistry) -> None:
        super().__init__(Counter(name, help, labels, registry=registry))


class _Histogram(_Children):
    def __init__(
        self,
        name: str,
        help: str,
        *labels: str,
        registry: CollectorRegistry,
        buckets: Sequence[float] = CALL_SECONDS,
    ) -> None:
        super().__init__(Histogram(name, help, labels, registry=registry, buckets=buckets))


class _Mounts:
    """What is read at the moment of a scrape. A collector of prometheus_client."""

    def __init__(self, backends: Callable[[], Iterable[Backend]]) -> None:
        self._backends = backends

    def collect(self) -> Iterator[Metric]:
        backends = list(self._backends())
        gauges = [each.mount_gauges() if isinstance(each, HasGauges) else Gauges() for each in backends]
        yield GaugeMetricFamily("authkit_mounts", "Mounts that are set up.", len(backends))
        yield GaugeMetricFamily(
            "authkit_cached_objects",
            "Stored objects kept in memory.",
            sum(each.cached_objects for each in gauges),
        )
        yield GaugeMetricFamily(
            "authkit_wal_entries",
            "Entries of write-ahead logs at the last tick of the host.",
            sum(each.wal_entries for each in gauges),
        )
        yield GaugeMetricFamily(
            "authkit_waiting_calls",
            "Calls of plain handlers that wait for a thread.",
            sum(each.waiting_calls for each in gauges),
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
