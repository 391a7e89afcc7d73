"""Profiles of a server that last: a store of them, and the updates that came since.

- `resolving`: the updates in a record of the log, each under the ID that it belongs to.
- `updatefile`: a file of updates that only grows.
- `directory`: which files hold the profiles, and how they are read.
- `folding`: a new store, of the last one and the updates since.
- `peoplestore`: all of these, for the pipeline.
"""
