"""The mark of an update that was a row of an export of profiles, and states a whole profile."""

from __future__ import annotations

from typing import Any


class ExportedProfile(dict[str, Any]):
    """The update that sets what a row of an export says.

    For the canonical ID it sets; for another ID of the cluster it fills in what is not there (SPEC
    11).
    """
