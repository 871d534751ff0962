"""From a plugin's file to a mount that runs it, on a Vault or OpenBao server, and back to the version before.

`authkit install`, `upgrade` and `rollback` are the commands. hvac speaks to the server.
"""
