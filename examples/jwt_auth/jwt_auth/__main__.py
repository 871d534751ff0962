"""What the server starts as the plugin."""

from authkit import serve


def main() -> None:
    """Serve the method until the server ends this process."""
    serve("jwt_auth:JWTAuth")


if __name__ == "__main__":
    main()
