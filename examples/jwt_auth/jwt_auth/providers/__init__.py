"""Providers of groups and user information that `provider_config` can name, and their settings."""
