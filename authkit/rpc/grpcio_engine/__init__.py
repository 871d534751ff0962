"""The reference engine: grpcio on a private socket, behind TLS of OpenSSL."""
