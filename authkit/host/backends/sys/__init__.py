"""`sys/`: mounts, plugins, policies, leases, wrapping."""
