"""Faults in an implementation of identity, found in its events or links.

Mixpanel asks to check an implementation by hand: are a person's events before and after login, and
on all devices, one person's, and is every person there once? Here the events answer. A `Finding`
has a code that stays, a count, the share of events that it touches, examples with file and line,
and a remedy; docs/doctor.md lists all findings.

    diagnosis = examine(["events.ndjson.gz"])
    for finding in diagnosis.findings:
        print(finding.severity.name, finding.title)

Files are read twice: for the links, then for the events. Memory grows with the IDs, with the links
(some forty bytes each) and by 16 bytes an event, by which events that come twice are found.
"""

from idmerge.doctor.catalogue import CATALOGUE
from idmerge.doctor.diagnosis import Diagnosis
from idmerge.doctor.examining import examine, examine_journal
from idmerge.doctor.findings import Example, Finding, NotLookedFor, Overview, Severity
from idmerge.doctor.limits import Limits

__all__ = [
    "CATALOGUE",
    "Diagnosis",
    "Example",
    "Finding",
    "Limits",
    "NotLookedFor",
    "Overview",
    "Severity",
    "examine",
    "examine_journal",
]
