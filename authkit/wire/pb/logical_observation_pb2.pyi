from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ObservationPluginInfo(_message.Message):
    __slots__ = ("mount_class", "mount_accessor", "mount_path", "plugin", "plugin_version", "running_plugin_version", "version", "local")
    MOUNT_CLASS_FIELD_NUMBER: _ClassVar[int]
    MOUNT_ACCESSOR_FIELD_NUMBER: _ClassVar[int]
    MOUNT_PATH_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    PLUGIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUNNING_PLUGIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    mount_class: str
    mount_accessor: str
    mount_path: str
    plugin: str
    plugin_version: str
    running_plugin_version: str
    version: str
    local: bool
    def __init__(self, mount_class: _Optional[str] = ..., mount_accessor: _Optional[str] = ..., mount_path: _Optional[str] = ..., plugin: _Optional[str] = ..., plugin_version: _Optional[str] = ..., running_plugin_version: _Optional[str] = ..., version: _Optional[str] = ..., local: _Optional[bool] = ...) -> None: ...
