"""`python -m authkit`: the command line."""

from authkit.cli.main import main

if __name__ == "__main__":
    main()
