"""What scripts/live/bench measures: our JWT plugin beside the official Go one, on one server in one run.

- `traffic`, `load`: which requests are sent, and what the load generator says of them
- `bed`: the contenders, mounted on one server
- `rounds`: contenders take turns; medians
- `scenarios`, `starts`: what is measured at one size
- `curves`, `live_curves`, `process_curves`: what is measured at growing sizes
- `session`: everything in its order
- `report`, `plots`: tables and pictures
"""
