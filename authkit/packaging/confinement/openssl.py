"""Where OpenSSL reads its settings on a server: in the folder that was compiled into its library.

`openssl.cnf` there names libraries to load, `cert.pem` the authorities to trust. The library of an
interpreter that somebody has made for themselves names a folder of theirs (conda, pyenv with linuxbrew).
"""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

from authkit.packaging.errors import PackagingError

__all__ = ["settings_folder", "verify_settings_folder"]


def settings_folder() -> Path:
    """Return the folder of this interpreter's OpenSSL."""
    return Path(ssl.get_default_verify_paths().openssl_cafile).parent


def verify_settings_folder(folder: Path) -> None:
    """Fail unless the folder, and all above it, are root's alone: so they will be on a server.

    Raises:
        PackagingError: they are not.
    """
    for each in (folder, *folder.parents):
        if each.exists() and not _is_roots(each):
            raise PackagingError(
                f"this interpreter can't be packed: its OpenSSL reads settings from {folder}, and {each} "
                "is not root's alone; who has a folder of that name on a server would run code in the "
                "plugin. Build with an interpreter that uses the OpenSSL of its distribution"
            )


def _is_roots(folder: Path) -> bool:
    status = folder.stat()
    others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    return status.st_uid == 0 and not others_write
