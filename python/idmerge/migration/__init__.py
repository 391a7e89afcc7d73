"""A way from Original to Simplified ID Merge: events that a new project shows as the same people.

`plan` reads the events of an Original project and decides whom Simplified shows; its `Migration`
has a report, and writes associations, events and profile updates. `verify` feeds what was written
to Simplified ID Merge, and compares.

    migrated = plan("export.ndjson.gz", user_id=r"[0-9]+")
    print(migrated.report.text())
    migrated.write("simplified")
    assert verify("simplified")
"""

from idmerge.migration.directory import Difference, Verdict, verify
from idmerge.migration.facts import ClusterExample, Refusal
from idmerge.migration.migrating import Migration, plan
from idmerge.migration.planning import Planned
from idmerge.migration.report import MigrationReport

__all__ = [
    "ClusterExample",
    "Difference",
    "Migration",
    "MigrationReport",
    "Planned",
    "Refusal",
    "Verdict",
    "plan",
    "verify",
]
