"""Findings on what events say beside their IDs: their times, their order, and their project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge._formatting import counted
from idmerge.events import DEVICE, USER
from idmerge.files.ids import odd_ids_in_words
from idmerge.files.localtimes import LATE_TOO, zone_of
from idmerge.files.names import PROCESSED, RECEIVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from idmerge.doctor.evidence import Evidence
    from idmerge.doctor.findings import Finding


def backward_order(evidence: Evidence) -> Iterator[Finding]:
    """Find events that Mixpanel processed before one that stands in front of them."""
    if evidence.traffic is None or not evidence.traffic.clocks.backward:
        return
    clocks = evidence.traffic.clocks
    yield evidence.finding(
        "backward-order",
        f"{counted(clocks.backward, 'event was', 'events were')} processed before one that stands in "
        f"front of {'it' if clocks.backward == 1 else 'them'} ({PROCESSED}, else {RECEIVED})",
        clocks.backward,
        clocks.backward_examples,
        events=clocks.backward,
    )


def time_zone(evidence: Evidence) -> Iterator[Finding]:
    """Find times that are those of a zone, by the moments at which Mixpanel received the events."""
    if evidence.traffic is None or not evidence.traffic.clocks.is_local or evidence.times_name_zones:
        return
    offsets = evidence.traffic.clocks.offsets
    count = sum(of_offset for _, of_offset in offsets)
    late = LATE_TOO if offsets[0][0] < 0 else ""
    zones = ", ".join(f"{zone_of(quarters)} of {of_offset:,}" for quarters, of_offset in offsets[:3])
    yield evidence.finding(
        "time-zone",
        f"{counted(count, 'event differs', 'events differ')} from {RECEIVED}, else {PROCESSED}, by whole "
        f"quarter hours ({zones}): their times look local{late}",
        count,
        evidence.traffic.clocks.offset_examples,
        events=count,
    )


def unreadable_times(evidence: Evidence) -> Iterator[Finding]:
    """Find events whose time cannot be read."""
    if evidence.unread is None or not evidence.unread.times.count:
        return
    times = evidence.unread.times
    yield evidence.finding(
        "unreadable-time",
        f"{counted(times.count, 'event has', 'events have')} a time that cannot be read",
        times.count,
        times.examples,
        events=times.count,
    )


def odd_ids(evidence: Evidence) -> Iterator[Finding]:
    """Find events whose ID is of a type that no ID has."""
    if evidence.unread is None or not evidence.unread.ids.count:
        return
    ids = evidence.unread.ids
    yield evidence.finding(
        "odd-id",
        odd_ids_in_words(ids.count),
        ids.count,
        ids.examples,
        events=ids.count,
    )


def simplified(evidence: Evidence) -> Iterator[Finding]:
    """Find a project on Simplified ID Merge: devices and users on events, and no identity event."""
    traffic = evidence.traffic
    if traffic is None or not evidence.is_simplified:
        return
    count = traffic.with_device_and_user
    yield evidence.finding(
        "simplified",
        f"{counted(count, 'event names', 'events name')} a device and a user ({DEVICE}, {USER}), and none "
        "states a link: this looks like Simplified ID Merge",
        count,
        traffic.examples["simplified"],
        events=count,
    )
