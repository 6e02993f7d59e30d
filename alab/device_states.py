"""What the laboratory makes of each device: ready, offline or quarantined."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from alab.claims import Claims
from alab.clock import Clock
from alab.errors import CommandRejected, DeviceError, DeviceFault, DeviceUnreachable
from alab.store.records import log_event, raise_alarm, set_device_state
from alab.store.store import Store
from alab.store.tables import DeviceRow


class DeviceStates:
    """The states of the devices of one laboratory, and who fell silent.

    Args:
        store: The lab database.
        clock: Laboratory time.
        claims: Granted anew whenever a state changes, as requests may wait for it.
    """

    def __init__(self, store: Store, clock: Clock, claims: Claims) -> None:
        self._store = store
        self._clock = clock
        self._claims = claims
        self._silent: set[str] = set()

    @property
    def silent(self) -> frozenset[str]:
        """Devices that did not answer when last asked."""
        return frozenset(self._silent)

    def answers(self, name: str, identity: str = "") -> None:
        """A device that answers is ready; only people lift a quarantine."""
        if not self._is_quarantined(name):
            self._write(name, "ready", identity=identity)
        self._silent.discard(name)  # written first: what could not be written is tried again

    def answers_again(self, name: str) -> None:
        """The same, of a device that answered in passing: news only if it was silent."""
        if name in self._silent:
            self.answers(name)

    def fell_silent(self, name: str, note: str) -> None:
        """Take a device that does not answer off; a quarantine outlasts silence too."""
        self._silent.add(name)
        if not self._is_quarantined(name):
            self._write(name, "offline", note=note)

    def quarantine(self, name: str, note: str) -> None:
        """Keep a device out of use until a person has looked at it."""
        self._write(name, "quarantined", note=note)

    def failed(self, name: str, error: DeviceError) -> None:
        """A silent device is offline; one that failed or declined is quarantined.

        It would decline whatever comes next as well, until a person has looked.
        """
        if isinstance(error, DeviceUnreachable):
            self.fell_silent(name, str(error))
        elif isinstance(error, (DeviceFault, CommandRejected)):
            self.quarantine(name, str(error))
            self.alarm(name, f"{error}; then 'alab device ready {name}'")

    def declare(self, name: str, state: str, note: str, *, by: str) -> None:
        """An operator's word on a device: ``ready`` or ``quarantined``."""
        with self._store.begin() as session:
            log_event(session, self._clock.now(), by, name, f"{state}: {note}")
        self._write(name, state, note=note)

    def alarm(self, name: str, text: str) -> None:
        """Raise an alarm about a device."""
        with self._store.begin() as session:
            raise_alarm(session, self._clock.now(), name, text)

    def _is_quarantined(self, name: str) -> bool:
        with self._store.begin() as session:
            row = session.get(DeviceRow, name)
            return row is not None and row.state == "quarantined"

    def _write(self, name: str, state: str, *, note: str = "", identity: str = "") -> None:
        with self._store.begin() as session:
            set_device_state(
                session, self._clock.now(), name, state, note=note, identity=identity
            )
        self._claims.grant()


def quarantine_note(session: Session, name: str) -> str:
    """Why a device is in quarantine; empty if it is not."""
    note = session.scalar(
        select(DeviceRow.note).where(DeviceRow.name == name, DeviceRow.state == "quarantined")
    )
    return "" if note is None else note or "no reason given"
