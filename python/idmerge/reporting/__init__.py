"""One report on events: three questions answered with and without stitching, and a check-up.

`report` stitches raw events, guesses which events and properties are the sign-up, the purchase with
its amount, the campaign and the content, asks `idmerge.questions`, and has `idmerge.doctor` look
for what is wrong. Each guess has a reason, and an option that names another event or property. A
question whose names cannot be guessed says so.

    report = idmerge.report("export.ndjson.gz", signup="Registered")
    Path("report.html").write_text(report.html())

docs/report.md says how names are guessed.
"""

from idmerge.reporting.composing import Guesses, guess, report
from idmerge.reporting.guessing import Guess
from idmerge.reporting.headlines import Headline
from idmerge.reporting.options import ReportOptions
from idmerge.reporting.result import IdentityReport
from idmerge.reporting.sections import Reading, Section

__all__ = [
    "Guess",
    "Guesses",
    "Headline",
    "IdentityReport",
    "Reading",
    "ReportOptions",
    "Section",
    "guess",
    "report",
]
