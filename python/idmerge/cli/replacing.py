"""Files that are there whole or not at all; `idmerge.files.replacing` is where."""

from idmerge.files.replacing import replacing

__all__ = ["replacing"]
