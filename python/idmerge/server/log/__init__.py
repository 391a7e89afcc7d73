"""The log: what was acknowledged, on disk."""
