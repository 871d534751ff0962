"""Database plugins, as the host runs them: processes, or objects in this process."""
