"""What the extra `build` brings may be missing, and may fail: both become one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from authkit.cli.console import CommandError
from authkit.deployment.errors import DeploymentError
from authkit.packaging.errors import PackagingError

__all__ = ["build_extra"]


@contextmanager
def build_extra() -> Iterator[None]:
    """Import and use what the extra brings.

    Raises:
        CommandError: it is not installed, or what was asked of it cannot be done.
    """
    try:
        yield
    except (PackagingError, DeploymentError) as error:
        raise CommandError(str(error)) from None
    except ModuleNotFoundError as error:
        raise CommandError(f"{error}: install vault-authkit with its extra `build`") from None
