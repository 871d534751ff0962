"""`authkit` and `python -m authkit`: the command line, or a word about what it needs."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process."""
    try:
        from authkit.cli.main import main as run
    except ModuleNotFoundError as error:
        if str(error.name).startswith("authkit"):
            raise
        if sys.argv[1:2] == ["doctor"]:  # wanted on servers, where the extra is not
            from authkit.doctor.command import run as inspect

            sys.exit(inspect(sys.argv[2:]))
        print(
            f"authkit: the command needs {error.name}: it comes with the extra `dev`, see README, Install",
            file=sys.stderr,
        )
        sys.exit(1)
    run()


if __name__ == "__main__":
    main()
