"""The messages of the wire contract to and from the values of `authkit.logical`: one pair each.

`encode_*` gives a message, `decode_*` a value. Both directions exist for every message: a plugin
needs one half, a host in Python the other.
"""

from authkit.wire.messages._values import MAX_DURATION, decode_duration, encode_positive_duration
from authkit.wire.messages.enterprise import (
    decode_identity_token,
    decode_rotation_info,
    decode_rotation_job,
    decode_seconds,
    encode_identity_token,
    encode_rotation_info,
    encode_rotation_job,
    encode_seconds,
)
from authkit.wire.messages.events import (
    Event,
    Observation,
    decode_event,
    decode_observation,
    encode_event,
    encode_observation,
)
from authkit.wire.messages.grant_reply import encode_grant, is_plain_grant
from authkit.wire.messages.grants import (
    decode_auth,
    decode_lease,
    decode_leased_secret,
    encode_auth,
    encode_lease,
    encode_leased_secret,
)
from authkit.wire.messages.identity import (
    decode_alias,
    decode_entity,
    decode_group,
    encode_alias,
    encode_entity,
    encode_group,
)
from authkit.wire.messages.mounts import (
    MountSetup,
    decode_plugin_environment,
    decode_setup,
    decode_special_paths,
    decode_storage_entry,
    encode_plugin_environment,
    encode_setup,
    encode_special_paths,
    encode_storage_entry,
)
from authkit.wire.messages.requests import (
    decode_connection,
    decode_request,
    encode_connection,
    encode_request,
)
from authkit.wire.messages.responses import (
    decode_response,
    decode_wrap_info,
    encode_response,
    encode_wrap_info,
)

__all__ = [
    "MAX_DURATION",
    "Event",
    "MountSetup",
    "Observation",
    "decode_alias",
    "decode_auth",
    "decode_connection",
    "decode_duration",
    "decode_entity",
    "decode_event",
    "decode_group",
    "decode_identity_token",
    "decode_lease",
    "decode_leased_secret",
    "decode_observation",
    "decode_plugin_environment",
    "decode_request",
    "decode_response",
    "decode_rotation_info",
    "decode_rotation_job",
    "decode_seconds",
    "decode_setup",
    "decode_special_paths",
    "decode_storage_entry",
    "decode_wrap_info",
    "encode_alias",
    "encode_auth",
    "encode_connection",
    "encode_entity",
    "encode_event",
    "encode_grant",
    "encode_group",
    "encode_identity_token",
    "encode_lease",
    "encode_leased_secret",
    "encode_observation",
    "encode_plugin_environment",
    "encode_positive_duration",
    "encode_request",
    "encode_response",
    "encode_rotation_info",
    "encode_rotation_job",
    "encode_seconds",
    "encode_setup",
    "encode_special_paths",
    "encode_storage_entry",
    "encode_wrap_info",
    "is_plain_grant",
]
