"""Keys that verify tokens: where they come from, how long they are kept, which are too weak."""
