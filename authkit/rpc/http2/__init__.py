"""HTTP/2 without I/O: frames, header blocks, the state of one connection and its limits."""
