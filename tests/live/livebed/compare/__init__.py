"""What scripts/live/compare measures: the method of examples/shared_pin beside the same method in Go.

- `sources`: lines, and the names of the framework that an author has to know
- `running`: logins and other requests on one server, memory
- `packing`: forms, their sizes, builds and starts
- `first_login`: from nothing to a login, and from a change to a login
- `page`: the tables of docs/why.md
"""
