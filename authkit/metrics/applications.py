"""What a plugin serves, measured, where its environment asks for it: the one entrance to this package.

A wrong setting, or a missing library, ends no start: logins that fail are worse than a gap in a graph. It is
an error in the log at every start, and the alert of docs/monitoring.md for a plugin without metrics.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from authkit.logical import BackendFactory
from authkit.meter import use
from authkit.metrics.endpoint import Endpoint, EndpointError, parse
from authkit.plugin.environment import METRICS_VARIABLE
from authkit.plugin.server import Application, Dial
from authkit.rpc.interface import Method
from authkit.wire.backend import BackendService

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

    from authkit.metrics.exporter import Exporter

__all__ = ["measured_backends", "measured_database"]

log = logging.getLogger(__name__)


def measured_backends(factory: BackendFactory, dial: Dial, *, plugin: str, where: str) -> Application:
    """Return the service of a factory's backends, with metrics at `where`."""

    def measured(endpoint: Endpoint) -> Application:
        from authkit.metrics.backend import MeasuredAnswers, MeasuredStorage
        from authkit.metrics.exporter import Exporter
        from authkit.metrics.plugin_meter import PluginMeter, build_facts

        meter = PluginMeter(build_facts(plugin, factory.version))
        service = BackendService(
            factory,
            dial,
            answer=MeasuredAnswers(meter, factory.backend_type),
            storage=partial(MeasuredStorage, meter=meter),
        )
        meter.watch(service.backends)
        exporter = Exporter(endpoint, meter.registry)
        use(meter)
        return _Measured(service, exporter)

    return _find_measured(where, measured) or BackendService(factory, dial)


def measured_database(service: Application, *, plugin: str, version: str, where: str) -> Application:
    """Return the service of a database plugin, with metrics at `where`."""

    def measured(endpoint: Endpoint) -> Application:
        from authkit.metrics.database import measured_methods
        from authkit.metrics.exporter import Exporter
        from authkit.metrics.plugin_meter import PluginMeter, build_facts

        meter = PluginMeter(build_facts(plugin, version))
        exporter = Exporter(endpoint, meter.registry)
        use(meter)
        return _Measured(service, exporter, lambda methods: measured_methods(methods, meter))

    return _find_measured(where, measured) or service


def _find_measured(where: str, measured: Callable[[Endpoint], Application]) -> Application | None:
    """Return what is measured, `None` where it cannot be; the log says why."""
    try:
        if any(each.upper() == "PROMETHEUS_MULTIPROC_DIR" for each in os.environ):
            # The library would keep its numbers in files: a full disk would end the process at a login.
            raise EndpointError("PROMETHEUS_MULTIPROC_DIR is set; take it from the environment of the plugin")
        return measured(parse(where))
    except EndpointError as error:
        log.error("no metrics: %s", error)
    except ImportError as error:
        text = "no metrics: %s needs the package prometheus-client, the extra `metrics` of authkit (%s)"
        log.error(text, METRICS_VARIABLE, error)
    except Exception:
        log.exception("no metrics: they could not be set up")
    return None


class _Measured:
    """An application beside which its metrics are offered."""

    def __init__(
        self,
        application: Application,
        exporter: Exporter,
        measure: Callable[[Sequence[Method]], Sequence[Method]] = lambda methods: methods,
    ) -> None:
        self._application = application
        self._exporter = exporter
        self._measure = measure
        exporter.start()

    def methods(self) -> Sequence[Method]:
        """Return its gRPC methods."""
        return self._measure(self._application.methods())

    def pools(self) -> Sequence[DescriptorPool]:
        """Return the descriptors of its services."""
        return self._application.pools()

    async def close(self) -> None:
        """Leave the place to the next process, and stop everything."""
        self._exporter.stop()
        try:
            await self._application.close()
        finally:
            self._exporter.close()
