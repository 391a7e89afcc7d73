"""idmerge: which of these IDs are the same person?"""

from idmerge._core import __version__

__all__ = ["__version__"]
