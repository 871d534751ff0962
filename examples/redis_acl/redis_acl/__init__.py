"""Users of Redis and Valkey for HashiCorp Vault and OpenBao: a database plugin written with authkit."""

from redis_acl.plugin import RedisACL

__all__ = ["RedisACL"]
