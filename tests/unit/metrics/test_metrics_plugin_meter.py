"""What is counted, and under which labels."""

from __future__ import annotations

from factories import mount_config
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from authkit.framework import Backend
from authkit.logical import BackendConfig, Gauges
from authkit.metrics.plugin_meter import (
    MAX_MOUNT_CHARACTERS,
    MAX_MOUNTS,
    OTHER_MOUNTS,
    OUTCOMES,
    PluginMeter,
    build_facts,
)


def lines(meter: PluginMeter) -> list[str]:
    """The OpenMetrics text, which the library's own parser takes, without times."""
    text = generate_latest(meter.registry).decode()
    assert list(text_string_to_metric_families(text))
    return [line for line in text.splitlines() if "_created" not in line]


def test_a_request_counts_once() -> None:
    """All outcomes begin with 0, so that the first error is an increase."""
    meter = PluginMeter({})
    meter.request_answered("auth/x/", "login", "denied", 0.003)
    found = [line for line in lines(meter) if line.startswith("authkit_requests_total")]
    assert len(found) == len(OUTCOMES)
    denied = 'authkit_requests_total{mount="auth/x/",operation="login",outcome="denied"} 1.0'
    assert [line for line in found if not line.endswith(" 0.0")] == [denied]
    buckets = [line for line in lines(meter) if "authkit_request_duration_seconds_bucket" in line]
    assert 'authkit_request_duration_seconds_bucket{le="0.002",operation="login"} 0.0' in buckets
    assert 'authkit_request_duration_seconds_bucket{le="0.005",operation="login"} 1.0' in buckets


def test_mounts_are_bounded() -> None:
    """Those beyond share a label; the ones before keep theirs."""
    meter = PluginMeter({})
    for number in range(MAX_MOUNTS + 10):
        meter.request_answered(f"auth/{number}/", "login", "granted", 0.001)
    meter.request_answered("auth/0/", "login", "granted", 0.001)
    granted = [line for line in lines(meter) if 'outcome="granted"' in line and "requests_total" in line]
    assert len(granted) == MAX_MOUNTS + 1
    assert (
        f'authkit_requests_total{{mount="{OTHER_MOUNTS}",operation="login",outcome="granted"}} 10.0'
        in granted
    )
    assert 'authkit_requests_total{mount="auth/0/",operation="login",outcome="granted"} 2.0' in granted


def test_a_long_path_is_no_label() -> None:
    """A server takes one of a megabyte, which each line of a text would repeat."""
    meter = PluginMeter({})
    for path in ("auth/long" + "g" * MAX_MOUNT_CHARACTERS + "/", "auth/short/"):
        meter.request_answered(path, "login", "granted", 0.001)
    assert any(f'mount="{OTHER_MOUNTS}"' in line for line in lines(meter))
    assert any('mount="auth/short/"' in line for line in lines(meter))
    assert not any("ggg" in line for line in lines(meter))


def test_a_mount_cannot_write_lines() -> None:
    """The path of a mount is text in quotes, whatever is in it."""
    meter = PluginMeter({})
    meter.lease_issued('a"} 1\nb\\')
    assert any(
        line.startswith('authkit_leases_issued_total{mount="a\\"} 1\\nb\\\\"} 1.0') for line in lines(meter)
    )


async def test_mounts_say_what_they_keep() -> None:
    """The sum of all of them; a backend that says nothing counts as a mount."""

    class Keeper(Backend, name="keeper"):
        """Keeps nothing."""

    class Bare:
        def __init__(self, config: BackendConfig) -> None:
            pass

    class Busy(Bare):
        def mount_gauges(self) -> Gauges:
            return Gauges(cached_objects=2, waiting_calls=5)

    meter = PluginMeter(build_facts("keeper", "v1.0.0"))
    keeper = Keeper(mount_config())
    keeper.wal.listed = 3
    meter.watch(lambda: [keeper, keeper, *(kind(mount_config()) for kind in (Bare, Busy))])  # type: ignore[list-item]
    found = lines(meter)
    gauges = {"mounts": 4, "wal_entries": 6, "cached_objects": 2, "waiting_calls": 5}
    assert {f"authkit_{name} {value}.0" for name, value in gauges.items()} <= set(found)
    (build,) = [line for line in found if line.startswith("authkit_build_info")]
    assert 'plugin="keeper"' in build
    assert 'version="v1.0.0"' in build
