"""The project's directory, and that of recorded figures."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benches" / "results"
