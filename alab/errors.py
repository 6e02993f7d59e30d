"""Every error the laboratory raises on purpose.

    AlabError
    ├── BadInput                 what a person handed in cannot be used
    │   ├── LabFileError         the lab file is wrong; names line and key
    │   ├── TargetError          a target is no formula, or cannot be made here
    │   └── RecipeError          a recipe asks for what no device or shelf can deliver
    ├── StoreError               the data directory cannot be used
    ├── TransitionError          a state table saw an event it does not accept
    ├── ServiceUnreachable       no laboratory answers at that address      (retryable)
    └── DeviceError              something about one named device
        ├── DeviceUnreachable    no answer: cable, power, time-out          (retryable)
        ├── MalformedReply       an answer the manual does not describe     (retryable)
        ├── CommandRejected      the device understood and declined
        ├── DeviceFault          the device latched an alarm; an operator must look
        ├── UnknownOutcome       sent, reply lost: query the device, never send again
        └── InterlockError       we refused before anything was sent

Flows decide whether to retry by reading ``retryable``, never by matching text.
A message says what was attempted, the value with its unit, the limit, and the way out.
"""

from typing import ClassVar


class AlabError(Exception):
    """Base of every error the laboratory raises on purpose."""

    retryable: ClassVar[bool] = False


class BadInput(AlabError):  # noqa: N818
    """What a person handed in cannot be used as it is."""


class LabFileError(BadInput):
    """The lab file is wrong; the message names file, line and key."""


class TargetError(BadInput):
    """A target is no formula, or cannot be made from this shelf."""


class RecipeError(BadInput):
    """A recipe asks for something no device or precursor can deliver."""


class StoreError(AlabError):
    """The data directory cannot be used: newer version, locked, not writable."""


class TransitionError(AlabError):
    """An event arrived in a state that does not accept it."""


class ServiceUnreachable(AlabError):  # noqa: N818
    """No laboratory service answers at the address."""

    retryable = True


class DeviceError(AlabError):
    """Base of errors about one device.

    Attributes:
        device: Name of the device as written in the lab file.
    """

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device


class DeviceUnreachable(DeviceError):  # noqa: N818
    """The device did not answer within its time-out, and nothing physical was asked."""

    retryable = True


class MalformedReply(DeviceError):  # noqa: N818
    """The device answered with bytes that its manual does not describe."""

    retryable = True


class CommandRejected(DeviceError):  # noqa: N818
    """The device understood the command and declined to run it."""


class DeviceFault(DeviceError):  # noqa: N818
    """The device reports a latched alarm that an operator must clear."""


class UnknownOutcome(DeviceError):  # noqa: N818
    """A physical command was sent and its reply was lost: it may or may not have run.

    Never send the command again: ask the device what it is doing, or weigh.
    """


class InterlockError(DeviceError):
    """Our own guard refused the command before anything was sent."""
