"""The `authkit` command: new, dev, doctor, explain.

Every command is a thin shell around `authkit.host`: it reads arguments, and prints what happens.
"""
