"""What operators write: the configuration, issuers and roles, and the checks of each of them."""
