"""The script that makes the pages of the documentation site."""

from __future__ import annotations

import importlib.util
from typing import Any

from paths import ROOT


def site_script() -> Any:
    """Return ``site/pages.py`` as a module."""
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "site" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script
