"""Log in to HashiCorp Vault and OpenBao with JSON Web Tokens: an auth method written with authkit."""

from jwt_auth.method import JWTAuth

__all__ = ["JWTAuth"]
