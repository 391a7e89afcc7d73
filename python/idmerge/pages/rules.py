"""A sentence for each outcome that rejects a link (SPEC 2)."""

from __future__ import annotations

from idmerge.outcome import Outcome

RULES = {
    Outcome.SAME_IDS: "both operands are the same ID",
    Outcome.ANON_FORMAT: "the first operand of an identify must look like an anonymous ID (anon_format)",
    Outcome.ANON_CLAIMED: "an anonymous ID that a user has claimed goes to no other user (anon_guard)",
    Outcome.ALIAS_TAKEN: "an alias can be used only once (alias_once)",
    Outcome.TOO_MANY_IDS: "the merged cluster would exceed the largest size allowed (max_cluster_size)",
    Outcome.INVALID_ID: "an ID is empty, too long, blocked or no Unicode text, and belongs to nobody",
    Outcome.MALFORMED: "an operand is missing or is no text",
    Outcome.MERGE_NOT_ALLOWED: "a merge is accepted from imports only",
    Outcome.KEPT_APART: "the clusters hold two IDs that are kept apart (idmerge keep-apart)",
    Outcome.VERB_NOT_ALLOWED: "the API has no such event (api)",
    Outcome.REFUSED_BEFORE: "Mixpanel refused it itself, as its event says (verdicts)",
}
