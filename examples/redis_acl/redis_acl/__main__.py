"""What the server starts as the plugin."""

from authkit.database import serve


def main() -> None:
    """Serve the plugin until the server ends this process."""
    serve("redis_acl:RedisACL")


if __name__ == "__main__":
    main()
