"""What people see of the store: JSON-able tables, the same for the service and the CLI.

Every function takes a session and only reads. Units are in the keys; stamps are ISO 8601
in UTC. Values of alab.models appear in the form of :mod:`alab.store.codec`.
"""

from alab.views.campaigns import campaign, campaigns, targets
from alab.views.floor import curve, device, devices, firing, firings, places, stock
from alab.views.people import (
    Table,
    alarms,
    events,
    overview,
    questions,
    stamp,
    stop_notice,
)
from alab.views.samples import (
    cancellation,
    decisions,
    ended,
    pattern,
    queue,
    sample,
    samples,
    why,
)

__all__ = [
    "Table",
    "alarms",
    "campaign",
    "campaigns",
    "cancellation",
    "curve",
    "decisions",
    "device",
    "devices",
    "ended",
    "events",
    "firing",
    "firings",
    "overview",
    "pattern",
    "places",
    "questions",
    "queue",
    "sample",
    "samples",
    "stamp",
    "stock",
    "stop_notice",
    "targets",
    "why",
]
