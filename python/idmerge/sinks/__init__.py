"""Sinks: copies of a journal's mapping in other systems, kept up to date.

`open_sink` opens a target, and `Delivery` brings it up to date as often as it is called. After each
delivery the target's rows are those of `mapping()`, whenever the process before was killed.
"""

from idmerge.sinks.delivery import Delivered, Delivery
from idmerge.sinks.opening import TABLE, open_sink
from idmerge.sinks.protocol import Sink

__all__ = ["TABLE", "Delivered", "Delivery", "Sink", "open_sink"]
