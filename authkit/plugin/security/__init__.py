"""How a plugin process proves itself, and where it keeps what is its own."""
