"""`identity/`: entities, groups and their aliases."""
