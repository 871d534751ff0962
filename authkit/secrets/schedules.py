"""When a static credential is due: after a period, or by a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from authkit.clock import MAX_SKEW
from authkit.errors import UserError
from authkit.framework import Model, Seconds, Secret, Str, Timestamp, field

__all__ = ["MIN_PERIOD", "MIN_WINDOW", "RotatedCredential", "RotatedRole"]

MIN_PERIOD: Final = timedelta(minutes=1)
"""A host gives a mount a turn about once each minute (Vault 1.21, vault/rollback.go)."""

MIN_WINDOW: Final = timedelta(hours=1)
"""As the server's own database engine has it (Vault 1.21, builtin/logical/database/path_roles.go)."""

MAX_SCHEDULE: Final = 256
"""Characters of a schedule. It is read at each tick and each read, in the loop that serves all mounts."""


class RotatedRole(Model):
    """A role whose credential is changed from time to time. Derive from it what the credential belongs to."""

    rotation_period: Seconds = field(
        default=timedelta(0), help="How often the credential is changed; one minute or more."
    )
    rotation_schedule: Str = field(
        default="",
        max_length=MAX_SCHEDULE,
        help="In place of a period: five fields as in crontab(5), in UTC, such as '0 3 * * SAT'.",
    )
    rotation_window: Seconds = field(
        default=timedelta(0),
        help="How long after a time of the schedule the credential may still be changed; an hour or more.",
    )

    # pyright takes `Self` of a class method's parameter for the class that the base method stands in.
    @classmethod
    def overlaid(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, stored: Self | None, provided: Mapping[str, Any], *, replace: bool = False
    ) -> Self:
        """Return what a write makes of `stored`: a period replaces a schedule, a schedule a period."""
        if stored is not None and provided.get("rotation_schedule") and not provided.get("rotation_period"):
            stored = stored.replaced(rotation_period=timedelta(0))
        elif stored is not None and provided.get("rotation_period") and not provided.get("rotation_schedule"):
            stored = stored.replaced(rotation_schedule="", rotation_window=timedelta(0))
        return super().overlaid(stored, provided, replace=replace)

    def check(self) -> None:
        """Refuse what gives no time, or two."""
        if bool(self.rotation_period) is bool(self.rotation_schedule):
            raise UserError("a static role needs rotation_period or rotation_schedule, and not both")
        if self.rotation_period and self.rotation_period < MIN_PERIOD:
            raise UserError("rotation_period must be one minute or more")
        if self.rotation_window and not self.rotation_schedule:
            raise UserError("rotation_window needs a rotation_schedule")
        if self.rotation_window and self.rotation_window < MIN_WINDOW:
            raise UserError("rotation_window must be one hour or more")
        if self.rotation_schedule:
            self._find(datetime(2000, 1, 1, tzinfo=UTC))

    def next_rotation(self, last: datetime) -> datetime:
        """Return when the credential is due, given when it was changed."""
        return self._find(last) if self.rotation_schedule else last + self.rotation_period

    def is_due(self, last: datetime, now: datetime) -> bool:
        """Return whether the credential is to be changed now. What is past its window is missed.

        One that was changed in the future, by a clock that was wrong, is due.
        """
        is_wrong = last > now + MAX_SKEW
        if not self.rotation_window:
            return is_wrong or self.next_rotation(last) <= now
        latest = self._find(now + timedelta(seconds=1), reverse=True)
        return (is_wrong or last < latest) and now < latest + self.rotation_window

    def _find(self, moment: datetime, *, reverse: bool = False) -> datetime:
        """Return the first time of the schedule after a moment, or the last one before."""
        from cronsim import CronSim, CronSimError

        try:
            if len(self.rotation_schedule.split()) != 5:  # a sixth would be seconds
                raise CronSimError
            found: datetime = next(CronSim(self.rotation_schedule, moment.astimezone(UTC), reverse=reverse))
        except (CronSimError, StopIteration, ValueError):
            raise UserError(
                "rotation_schedule must be five fields as in crontab(5), such as '30 4 * * SUN', and a time "
                "that comes: minute 0-59, hour 0-23, day of the month 1-31, month 1-12, day of the week 0-7"
            ) from None
        return found


class RotatedCredential(Model):
    """What a client reads at `static-creds`, beside fields of the role. For OpenAPI documents."""

    password: Secret = field(help="The password that was set last.")
    last_vault_rotation: Timestamp = field(help="When it was set.")
    ttl: Seconds = field(help="How long until it is changed.")
