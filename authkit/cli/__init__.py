"""The `authkit` command: new, dev, doctor.

Every command is a thin shell around `authkit.host`: it reads arguments, and prints what happens.
"""
