"""The mark of an update that was a row of an export of profiles, and states a whole profile."""

from __future__ import annotations

from typing import Any


class ExportedProfile(dict[str, Any]):
    """The update that sets what a row of an export says.

    Within one export the canonical ID's row counts before those of the cluster's other IDs (SPEC
    11).
    """
