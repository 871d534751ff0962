"""Fields: the types of their values, how they are declared, and what a request has in them."""
