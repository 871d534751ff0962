"""A plugin's process: started, verified, called, read, and started again after a crash."""
