"""Three questions about stitched events, each answered with and without stitching, side by side.

Stitched events have the columns ``event``, ``time``, ``distinct_id`` (the person's canonical ID)
and ``$distinct_id_before_identity`` (the ID that was sent), and one a property. DuckDB answers; the
statement that it ran is part of the answer. How ties, missing values and IDs of nobody are decided:
docs/questions.md.
"""

from idmerge.questions.answer import Answer
from idmerge.questions.campaigns import Attribution, Model, attribution
from idmerge.questions.conversions import Conversion, conversion
from idmerge.questions.lengths import length_of
from idmerge.questions.question import Question
from idmerge.questions.signups import Period, SignupRate, signup_rate
from idmerge.questions.source import event_names, is_stitched

__all__ = [
    "Answer",
    "Attribution",
    "Conversion",
    "Model",
    "Period",
    "Question",
    "SignupRate",
    "attribution",
    "conversion",
    "event_names",
    "is_stitched",
    "length_of",
    "signup_rate",
]
