"""What lies beside a package: the list of its contents, and checksums."""
