"""protobuf on one side, `authkit.logical` on the other: the only package of a plugin that sees both."""
