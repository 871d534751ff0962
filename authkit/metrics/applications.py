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
from authkit.metrics.endpoint import EndpointError, parse
from authkit.plugin.environment import METRICS_VARIABLE
from authkit.plugin.server import Application, Dial
from authkit.rpc.interface import Method
from authkit.wire.backend import BackendService

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

    from authkit.metrics.exporter import Exporter
    from authkit.metrics.plugin_meter import PluginMeter

__all__ = ["measured_backends", "measured_database"]

log = logging.getLogger(__name__)

Measure = Callable[[Sequence[Method]], Sequence[Method]]
"""Returns an application's gRPC methods, measured."""


def measured_backends(factory: BackendFactory, dial: Dial, *, plugin: str, where: str) -> Application:
    """Return the service of a factory's backends, with metrics at `where`."""

    def measure(meter: PluginMeter) -> tuple[Application, Measure]:
        from authkit.metrics.backend import MeasuredAnswers, MeasuredStorage

        service = BackendService(
            factory,
            dial,
            answer=MeasuredAnswers(meter, factory.backend_type),
            storage=partial(MeasuredStorage, meter=meter),
        )
        meter.watch(service.backends)
        return service, _unchanged

    return _find_measured(where, plugin, factory.version, measure) or BackendService(factory, dial)


def measured_database(service: Application, *, plugin: str, version: str, where: str) -> Application:
    """Return the service of a database plugin, with metrics at `where`."""

    def measure(meter: PluginMeter) -> tuple[Application, Measure]:
        from authkit.metrics.database import measured_methods

        return service, partial(measured_methods, meter=meter)

    return _find_measured(where, plugin, version, measure) or service


def _find_measured(
    where: str, plugin: str, version: str, measure: Callable[[PluginMeter], tuple[Application, Measure]]
) -> Application | None:
    """Return what is measured, `None` where it cannot be; the log says why."""
    try:
        if any(each.upper() == "PROMETHEUS_MULTIPROC_DIR" for each in os.environ):
            # The library would keep its numbers in files: a full disk would end the process at a login.
            raise EndpointError("PROMETHEUS_MULTIPROC_DIR is set; take it from the environment of the plugin")
        endpoint = parse(where)
        from authkit.metrics.exporter import Exporter
        from authkit.metrics.plugin_meter import PluginMeter, build_facts

        meter = PluginMeter(build_facts(plugin, version))
        application, measure_methods = measure(meter)
        exporter = Exporter(endpoint, meter.registry)
        use(meter)
        return _Measured(application, exporter, measure_methods)
    except EndpointError as error:
        log.error("no metrics: %s", error)
    except ImportError as error:
        text = "no metrics: %s needs the package prometheus-client, the extra `metrics` of authkit (%s)"
        log.error(text, METRICS_VARIABLE, error)
    except Exception:
        log.exception("no metrics: they could not be set up")
    return None


def _unchanged(methods: Sequence[Method]) -> Sequence[Method]:
    return methods


class _Measured:
    """An application beside which its metrics are offered."""

    def __init__(
        self,
        application: Application,
        exporter: Exporter,
        measure: Measure,
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
