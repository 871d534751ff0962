"""What the server starts as the plugin."""

from authkit import serve


def main() -> None:
    """Serve the engine until the server ends this process."""
    serve("postgres_users:PostgresUsers")


if __name__ == "__main__":
    main()
