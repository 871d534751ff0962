"""What a host serves to a plugin: storage, the system view, events."""
