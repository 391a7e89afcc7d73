"""Every finding by its code, with its severity and its remedy."""

from __future__ import annotations

from typing import NamedTuple

from idmerge.doctor.findings import Severity


class Entry(NamedTuple):
    """The severity and the remedy of a finding."""

    severity: Severity
    change: str


ERROR, WARNING, NOTE = Severity

CATALOGUE: dict[str, Entry] = {
    # Devices
    "fused-users": Entry(
        ERROR,
        "Stop the $merge or $create_alias of a device with a user, and send $identify, which refuses a "
        "second user. Mixpanel cannot take a merge back; here, leave these links out, or take them back in "
        "a journal (idmerge retract).",
    ),
    "anonymous-claim": Entry(
        WARNING,
        "Pass the user's own ID to identify(), never an anonymous one: it claims the device, and the user's "
        "own identify is refused afterwards.",
    ),
    "shared-device": Entry(
        ERROR,
        "Call reset() when a user logs out, so that the next user has an anonymous ID of their own; "
        "until then only the first user of the device gets its anonymous events.",
    ),
    "reset-storm": Entry(
        WARNING,
        "Call reset() at logout alone, not at every start or page; look for private windows, kiosks and "
        "tests that log the same user in again and again.",
    ),
    "too-many-ids": Entry(
        ERROR,
        "Stop what makes new anonymous IDs for these users (see reset-storm); what comes from now on under "
        "their new IDs belongs to nobody. Block the ID if it stands for more than one person.",
    ),
    "near-limit": Entry(
        WARNING,
        "Look at these users before their clusters are full: too many anonymous IDs, or an ID that belongs "
        "to more than one person.",
    ),
    # People
    "several-users": Entry(
        WARNING,
        "Make sure that these accounts are one person's: a merge cannot be undone in Mixpanel. If they are "
        "not, stop the $merge or $create_alias; in a journal, idmerge retract takes it back.",
    ),
    "no-anonymous-history": Entry(
        WARNING,
        "Call identify() on the device at signup and at login, and let the server send the same user ID: "
        "what these users did before they logged in is counted as somebody else's.",
    ),
    "look-alike-ids": Entry(
        WARNING,
        "Send one spelling everywhere: IDs are compared exactly, so case, spaces around them and $device: "
        "make another person. Merge the pairs that are one person.",
    ),
    "float-id": Entry(
        WARNING,
        "Send the ID as text, or as an integer: a table whose column of IDs has gaps turns integers into "
        "floats. Merge the pairs that are one person.",
    ),
    "doubled-prefix": Entry(
        WARNING,
        "Leave the prefix to the SDK: pass it the device's ID without $device:. Merge the pairs that are "
        "one person.",
    ),
    "anonymous-profile": Entry(
        WARNING,
        "Set profile properties only once the user is identified; keep them on the device until then.",
    ),
    # Junk
    "blocked-id": Entry(
        WARNING,
        "Find the client that sends a placeholder for a missing ID and let it send none, or an empty "
        "distinct_id for what belongs to nobody.",
    ),
    "placeholder-id": Entry(
        WARNING,
        "Find the client that sends it in place of a missing ID, and let it send none. Whoever comes under "
        "it becomes one person: add it to the blocked IDs (--blocked-ids), unless it is somebody's ID.",
    ),
    "invalid-id": Entry(
        WARNING,
        "Send IDs that are not empty, at most max_id_length characters long, and Unicode text.",
    ),
    "hub-id": Entry(
        WARNING,
        "Look whether one person can be behind this ID. If it is a placeholder or a test account, add it to "
        "the blocked IDs (--blocked-ids) and stop sending it.",
    ),
    # Calls
    "anon-format": Entry(
        ERROR,
        "Let the SDK make anonymous IDs, or make UUIDv4s; Mixpanel refuses an $identify with any other. What "
        "was sent stays as it is: if Mixpanel took these IDs, judge by a format that does (--anon-format).",
    ),
    "old-web-id": Entry(
        NOTE,
        "There is nothing to mend in what was sent: Mixpanel took these IDs, and so does the default "
        'format ("mixpanel"; "uuid4" refuses them). Web SDKs since 2.62 make UUIDs.',
    ),
    "verdicts-differ": Entry(
        WARNING,
        "Mixpanel knows links that these files lack, or judged them in another order: read all of them, "
        "in its order (--sort). --verdicts ignore judges by the rules alone, --verdicts respect as Mixpanel "
        "did.",
    ),
    "swapped-identify": Entry(
        ERROR,
        "Send the anonymous ID as $anon_id and the user's own as $identified_id; here they are the other "
        "way round.",
    ),
    "alias-for-identify": Entry(
        WARNING,
        "Send $identify for an anonymous ID. An alias makes no claim, so another user can get the same "
        "device; aliases are for further names of a user.",
    ),
    "merge-for-identify": Entry(
        NOTE,
        "Send $identify: it would do the same, and guard the anonymous ID against a second user. $merge is "
        "for two users that turn out to be one person.",
    ),
    "verb-not-allowed": Entry(
        ERROR,
        "Send $device_id and $user_id with the first event after a login: Simplified ID Merge refuses "
        "$identify, $create_alias and $merge, and with one of them the whole request. If the project has "
        "another API, examine it by that (--api).",
    ),
    "merge-by-track": Entry(
        ERROR,
        "Send $merge to the import API with the project's secret; by /track it is refused.",
    ),
    "alias-taken": Entry(
        WARNING,
        "Give an alias to one user only; to join two users send a $merge.",
    ),
    "same-ids": Entry(
        NOTE,
        "Pass the user's own ID to identify(), not the distinct_id that the SDK has; and do not identify "
        "before there is a user.",
    ),
    "malformed-event": Entry(
        ERROR,
        "Send both IDs as text; do not send identity events before both are there.",
    ),
    "malformed-line": Entry(
        ERROR,
        "Write one JSON object a line; look for lines that were cut off or joined.",
    ),
    # Traffic
    "busy-id": Entry(
        ERROR,
        "Send an empty distinct_id for events that belong to nobody, and stop bots and loops; beyond the "
        "limit Mixpanel renames the events of an ID on that day.",
    ),
    "duplicate-events": Entry(
        WARNING,
        "Count each once, and look for a sender that repeats what had arrived, or an import that ran twice.",
    ),
    "no-insert-id": Entry(
        WARNING,
        "Send a $insert_id that stays the same when an event is sent again: without it a retry looks like a "
        "second event.",
    ),
    "no-distinct-id": Entry(
        WARNING,
        "Send a distinct_id with every event, and an empty one where there is no user: without it Mixpanel "
        "makes one up from the sender's address.",
    ),
    "odd-id": Entry(
        ERROR,
        "Send the ID as text: an object, a list or a truth value is nobody's ID, and what was sent under it "
        "is in no cluster.",
    ),
    "unreadable-time": Entry(
        WARNING,
        "Send the time as seconds or milliseconds since 1970 in UTC, or as ISO 8601; such an event is in no "
        "answer that asks when.",
    ),
    "time-zone": Entry(
        WARNING,
        "Name the project's zone (--timezone Asia/Kolkata): projects made before 2023 export the times of "
        "their own zone.",
    ),
    "backward-order": Entry(
        WARNING,
        "Read the events in the order in which Mixpanel processed them (--sort): which of two links comes "
        "first decides who keeps a device.",
    ),
    # Project
    "simplified": Entry(
        WARNING,
        "Nobody is joined here, for Simplified ID Merge joins the device and the user of an event without "
        "links. Examine them by its rules (--api simplified).",
    ),
}
"""Each finding by its code.

Examples:
    >>> from idmerge.doctor import CATALOGUE
    >>> CATALOGUE["same-ids"].severity, len(CATALOGUE)
    (<Severity.NOTE: 2>, 37)
"""
