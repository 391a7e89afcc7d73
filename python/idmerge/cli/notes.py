"""Notes on what the first events of files show, each in one line on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from idmerge.cli.messages import tell_note
from idmerge.files import local_times

if TYPE_CHECKING:
    from idmerge.files import Sample

SIMPLIFIED = (
    "no identity event, but events with $device_id and $user_id: this looks like Simplified ID Merge, which "
    "joins these without links; do so with --api simplified (docs/doctor.md says more)"
)

OF_PRODUCT = (
    "no event of {} states a link by itself, but some have a device and a user: --api simplified joins "
    "these; docs/your-data.md says what links under which API"
)


def tell_simplified(product: str | None = None) -> None:
    """Print that events look like those of a project on Simplified ID Merge.

    Of another ``product``'s events print what joins their devices and users.
    """
    tell_note(SIMPLIFIED if product is None else OF_PRODUCT.format(product))


def tell_signs(
    sample: Sample,
    links: int,
    *,
    is_sorted: bool = False,
    timezone: str | None = None,
    option: str = "--timezone",
) -> None:
    """Print the signs in a ``sample`` of events, of which all state so many ``links``.

    ``option`` is the command's for the zone of times that name none.
    """
    if sample.is_simplified and not links:
        tell_simplified(sample.product)
    if sample.backward is not None and not is_sorted:
        tell_note(
            f"{sample.backward}: processed before an event in front of it (mp_processing_time_ms), so "
            "links may be judged in another order than Mixpanel judged them; --sort reads its order"
        )
    if sample.offset is not None:
        tell_note(f"{local_times(sample.offset, timezone)}; {option} names their zone, such as Asia/Kolkata")
