"""Public keys: key sets, discovery, how long they are kept, and which are too weak. No tokens."""
