"""`auth/token/`: tokens made, looked up, renewed and revoked."""
