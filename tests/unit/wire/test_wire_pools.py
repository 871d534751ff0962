"""The generated packages: private, exact in their names, complete."""

from __future__ import annotations

import sys

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from authkit.plugin.pb import _pool as plugin_pool
from authkit.plugin.pb import broker_pb2, controller_pb2, health_pb2, reflection_pb2, stdio_pb2
from authkit.wire.pb import _pool as wire_pool
from authkit.wire.pb import backend_pb2, logical_version_pb2, multiplexing_pb2, timestamp_pb2

OURS = [
    "vault/backend.proto",
    "vault/logical_identity.proto",
    "vault/logical_version.proto",
    "vault/multiplexing.proto",
    "goplugin/broker.proto",
    "goplugin/stdio.proto",
    "grpc/health.proto",
]


@pytest.mark.parametrize("name", OURS)
def test_default_pool_gets_nothing(name: str) -> None:
    """No file of ours is known to protobuf's default pool."""
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileByName(name)


@pytest.mark.parametrize("name", ["pb.Request", "logical.Alias", "plugin.ConnInfo", "grpc.health.v1.Health"])
def test_default_pool_knows_no_name(name: str) -> None:
    """No full name of ours is taken in the default pool."""
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileContainingSymbol(name)


def test_another_library_may_use_the_same_names() -> None:
    """A second definition of `pb.Request` lives beside ours, each with its own fields."""
    file = descriptor_pb2.FileDescriptorProto(name="vault/backend.proto", package="pb", syntax="proto3")
    message = file.message_type.add(name="Request")
    message.field.add(name="other", number=1, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    theirs = message_factory.GetMessageClass(pool.FindMessageTypeByName("pb.Request"))
    assert theirs(other="x").SerializeToString() == backend_pb2.Request(id="x").SerializeToString()
    assert not hasattr(backend_pb2.Request(), "other")


def test_well_known_types_are_in_the_private_pools() -> None:
    """Timestamps are those of the package's own pool; protobuf's modules are not even loaded for them."""
    issue_time = backend_pb2.LeaseOptions().issue_time
    assert type(issue_time) is timestamp_pb2.Timestamp
    assert timestamp_pb2.DESCRIPTOR.pool is wire_pool.POOL
    assert "google.protobuf.json_format" not in vars(backend_pb2)


def test_the_two_packages_do_not_share_a_pool() -> None:
    """The plugin layer knows no message of Vault's."""
    assert plugin_pool.POOL is not wire_pool.POOL
    with pytest.raises(KeyError):
        plugin_pool.POOL.FindMessageTypeByName("pb.Request")


@pytest.mark.parametrize(
    ("module", "service", "methods"),
    [
        (
            backend_pb2,
            "pb.Backend",
            "HandleRequest SpecialPaths HandleExistenceCheck Cleanup InvalidateKey Setup Initialize Type",
        ),
        (
            backend_pb2,
            "pb.Storage",
            "List ListPage Get Put Delete IsTransactional BeginReadOnlyTx BeginTx Commit Rollback",
        ),
        (backend_pb2, "pb.Events", "SendEvent"),
        (backend_pb2, "pb.Observations", "RecordObservation"),
        (logical_version_pb2, "logical.PluginVersion", "Version"),
        (multiplexing_pb2, "pluginutil.multiplexing.PluginMultiplexing", "MultiplexingSupport"),
        (broker_pb2, "plugin.GRPCBroker", "StartStream"),
        (stdio_pb2, "plugin.GRPCStdio", "StreamStdio"),
        (controller_pb2, "plugin.GRPCController", "Shutdown"),
        (health_pb2, "grpc.health.v1.Health", "Check Watch"),
        (reflection_pb2, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo"),
    ],
)
def test_services_have_the_names_that_hosts_call(module: object, service: str, methods: str) -> None:
    """Every service is declared under its exact name, with its methods."""
    found = module.DESCRIPTOR.services_by_name[service.rpartition(".")[2]]
    assert found.full_name == service
    assert [method.name for method in found.methods] == methods.split()


def test_known_bytes() -> None:
    """Field numbers are those of the hosts: messages written by hand are read."""
    assert health_pb2.HealthCheckResponse(status="SERVING").SerializeToString() == b"\x08\x01"
    request = backend_pb2.Request.FromString(b"\x22\x05login\x2a\x04null\x98\x01\x01\x1a\x06update")
    assert (request.path, request.data, request.unauthenticated, request.operation) == (
        "login",
        "null",
        True,
        "update",
    )
    assert broker_pb2.ConnInfo.FromString(b"\x08\x01\x12\x04unix\x1a\x02/s").address == "/s"
    assert backend_pb2.Auth(no_default_policy=True).SerializeToString() == b"\x90\x01\x01"
    assert logical_version_pb2.VersionReply(plugin_version="v1").SerializeToString() == b"\x0a\x02v1"


def test_unknown_fields_are_ignored() -> None:
    """A field that a later host adds does not disturb."""
    assert backend_pb2.Request.FromString(b"\x0a\x01x\xfa\x3f\x01y").id == "x"


def test_generated_modules_are_importable_by_their_full_name() -> None:
    """Message classes say where they live, nested ones too."""
    knock = broker_pb2.ConnInfo.Knock
    assert knock.__module__ in sys.modules
    assert knock.__qualname__ == "ConnInfo.Knock"
