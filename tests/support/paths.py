"""The directories that tests read: the project, its package, its documents and kept journals."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
