"""The forms of one file: with an interpreter, without one, and what both are made of."""
