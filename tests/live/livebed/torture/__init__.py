"""The faults that scripts/live/torture causes, and the page that it writes.

- `rows`: what a part is told, and what it reports
- `bed`: servers, clusters and mounts that end with their part
- `clients`, `objects`, `leftovers`: load, what must not be lost, what must not be left behind
- one module for each family of faults, with its parts; `catalog` has them all in their order
- `options`, `session`, `results`, `page`: the command, its saved results, and the table of the page

A part is a function of a bed and a size. The tests in tests/live/test_reliability_*.py run it in a short
form, the command in a long one.
"""
