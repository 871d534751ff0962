"""What a mount keeps: objects as JSON, a cache, keys that seal texts, views of the storage."""
