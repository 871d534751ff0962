"""What only Vault Enterprise answers: identity tokens and rotation (`pb.SystemView`, Vault 1.16 and later).

Unlike everywhere else durations are whole seconds here, and times seconds since 1970.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from authkit.errors import InternalError
from authkit.logical import IdentityToken, RotationInfo, RotationJob
from authkit.masking import Secret
from authkit.wire.messages._values import encode_positive_duration
from authkit.wire.pb import backend_pb2 as pb

__all__ = [
    "decode_identity_token",
    "decode_rotation_info",
    "decode_rotation_job",
    "decode_seconds",
    "encode_identity_token",
    "encode_rotation_info",
    "encode_rotation_job",
    "encode_seconds",
]


def encode_seconds(value: timedelta) -> int:
    """Return the whole seconds of `value`.

    Raises:
        InternalError: it is negative.
    """
    return encode_positive_duration(value, "a duration") // 1_000_000_000


def decode_seconds(seconds: int) -> timedelta:
    """Return the duration.

    Raises:
        InternalError: it is out of range.
    """
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise InternalError("a duration is out of range") from None


def encode_identity_token(token: IdentityToken) -> pb.GenerateIdentityTokenResponse:
    """Return the message for an identity token."""
    return pb.GenerateIdentityTokenResponse(token=token.token.reveal(), ttl=encode_seconds(token.ttl))


def decode_identity_token(message: pb.GenerateIdentityTokenResponse) -> IdentityToken:
    """Return the identity token in a message.

    Raises:
        InternalError: its lifetime is out of range.
    """
    return IdentityToken(token=Secret(message.token), ttl=decode_seconds(message.ttl))


def encode_rotation_job(job: RotationJob) -> pb.RotationJobInput:
    """Return the message for a rotation job."""
    return pb.RotationJobInput(
        name=job.name,
        mount_point=job.mount_point,
        path=job.path,
        rotation_schedule=job.schedule,
        rotation_window=encode_seconds(job.window),
        rotation_period=encode_seconds(job.period),
    )


def decode_rotation_job(message: pb.RotationJobInput) -> RotationJob:
    """Return the rotation job in a message.

    Raises:
        InternalError: a duration is out of range.
    """
    return RotationJob(
        name=message.name,
        mount_point=message.mount_point,
        path=message.path,
        schedule=message.rotation_schedule,
        window=decode_seconds(message.rotation_window),
        period=decode_seconds(message.rotation_period),
    )


def encode_rotation_info(info: RotationInfo) -> pb.RotationInfoReply:
    """Return the message for the times of a rotation; none is 0."""
    return pb.RotationInfoReply(
        issue_time=_to_unix(info.issue_time),
        expire_time=_to_unix(info.expire_time),
        ttl=encode_seconds(info.ttl),
    )


def decode_rotation_info(message: pb.RotationInfoReply) -> RotationInfo:
    """Return the times of a rotation.

    Raises:
        InternalError: one of them is out of range.
    """
    return RotationInfo(
        issue_time=_from_unix(message.issue_time),
        expire_time=_from_unix(message.expire_time),
        ttl=decode_seconds(message.ttl),
    )


def _to_unix(value: datetime | None) -> int:
    return 0 if value is None else int(value.timestamp())


def _from_unix(seconds: int) -> datetime | None:
    """Return the time; `None` for 0 and before, which is how the host says "none"."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (OverflowError, OSError, ValueError):
        raise InternalError("a time is out of range") from None
