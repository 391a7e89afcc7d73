"""People's profiles (SPEC 10): ``/engage`` updates, shown as one profile a person.

`profiles` keeps and shows them, `updates` holds the rules of each operation, `store` the file in
which profiles last.
"""

from idmerge.profiles.profiles import MergeProfiles, Profiles, UpdateOutcome, UpdateReport, WhoIsWho

__all__ = ["MergeProfiles", "Profiles", "UpdateOutcome", "UpdateReport", "WhoIsWho"]
