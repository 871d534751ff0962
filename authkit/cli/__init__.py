"""The `authkit` command: a module for each command or group of them; `main.py` lists them.

A command reads its arguments, calls the package that does the work, and prints what happens.
"""
