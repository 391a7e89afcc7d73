"""The benchmark behind ``idmerge bench``: its measurements, and the baseline beside them.

Nothing of it resolves IDs for a user. It is in the wheel, and not in benches/, because the command
runs from an installed package on the user's own machine, and figures without a baseline measured in
the same run say little about another machine. It stays apart from the command line, which draws the
figures; benches/ uses the same baseline.
"""
