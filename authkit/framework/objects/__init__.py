"""Stored objects that a backend declares and serves: `Singleton`, `Collection`, their rules and lists."""
