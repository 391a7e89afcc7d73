"""Three questions about stitched events, each answered with and without stitching, side by side.

Stitched events have the columns ``event``, ``time``, ``distinct_id`` (the person's canonical ID)
and ``$distinct_id_before_identity`` (the ID that was sent), and one a property. DuckDB answers; the
statement that it ran is part of the answer. How ties, missing values and IDs of nobody are decided:
docs/questions.md.
"""

from idmerge.questions.answer import Answer
from idmerge.questions.campaigns import Attribution, attribution
from idmerge.questions.cohorts import Retention, retention
from idmerge.questions.conversions import Conversion, conversion
from idmerge.questions.credits import Model
from idmerge.questions.funnels import Funnel, funnel
from idmerge.questions.intervals import wilson
from idmerge.questions.lengths import length_of
from idmerge.questions.question import Question
from idmerge.questions.signups import Period, SignupRate, signup_rate
from idmerge.questions.source import event_names, is_stitched

__all__ = [
    "Answer",
    "Attribution",
    "Conversion",
    "Funnel",
    "Model",
    "Period",
    "Question",
    "Retention",
    "SignupRate",
    "attribution",
    "conversion",
    "event_names",
    "funnel",
    "is_stitched",
    "length_of",
    "retention",
    "signup_rate",
    "wilson",
]
