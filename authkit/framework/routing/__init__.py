"""Which paths a backend has, which route answers a request, and what hosts are told of paths."""
