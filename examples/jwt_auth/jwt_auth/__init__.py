"""Log in to HashiCorp Vault and OpenBao with JSON Web Tokens: an auth method written with authkit."""

from jwt_auth.method import JWTAuth
from jwt_auth.providers.configured import ConfiguredProvider

__all__ = ["ConfiguredProvider", "JWTAuth"]
