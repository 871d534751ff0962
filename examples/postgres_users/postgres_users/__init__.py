"""Temporary PostgreSQL users: a secrets engine written with authkit."""

from postgres_users.engine import PostgresUsers

__all__ = ["PostgresUsers"]
