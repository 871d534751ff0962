import datetime

from authkit.wire.pb import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PluginEnvironment(_message.Message):
    __slots__ = ("vault_version", "vault_version_prerelease", "vault_version_metadata", "vault_build_date")
    VAULT_VERSION_FIELD_NUMBER: _ClassVar[int]
    VAULT_VERSION_PRERELEASE_FIELD_NUMBER: _ClassVar[int]
    VAULT_VERSION_METADATA_FIELD_NUMBER: _ClassVar[int]
    VAULT_BUILD_DATE_FIELD_NUMBER: _ClassVar[int]
    vault_version: str
    vault_version_prerelease: str
    vault_version_metadata: str
    vault_build_date: _timestamp_pb2.Timestamp
    def __init__(self, vault_version: _Optional[str] = ..., vault_version_prerelease: _Optional[str] = ..., vault_version_metadata: _Optional[str] = ..., vault_build_date: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
