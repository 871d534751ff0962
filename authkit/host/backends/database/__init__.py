"""The secrets engine `database`: connections to databases, their roles, users and rotations."""
