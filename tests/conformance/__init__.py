"""One file of cases, run on every host that there is: what is served has to be the same everywhere."""
