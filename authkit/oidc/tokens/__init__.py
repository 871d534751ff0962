"""Tokens: compact JWS, its signature, its claims, and the rules on them."""
