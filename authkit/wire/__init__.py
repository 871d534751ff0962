"""protobuf on one side, `authkit.logical` on the other: the only package that sees both."""
