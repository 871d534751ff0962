"""What runs without a request: periodic tasks and the write-ahead log."""
