"""From a plugin's project to one file for servers, and what belongs beside it.

`authkit build` is the command. A plugin in production has nothing of this package in it.
"""
