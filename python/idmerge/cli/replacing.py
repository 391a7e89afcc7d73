"""Files that are there whole or not at all: `idmerge.files.replacing`, by the name that commands use."""

from idmerge.files import replacing

__all__ = ["replacing"]
