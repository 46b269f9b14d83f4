"""What can go wrong in an exchange, one class per thing that a caller can act on.

The docstring of a class is the sentence that an operator reads when no better one is at hand; it names the way out.
"""

from __future__ import annotations


class ReplicationError(Exception):
    """The exchange could not be carried out. Look at the message for the reason; nothing was changed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class NoContext(ReplicationError):
    """A travelling table was written without saying who writes.

    Call replication.capture.begin() right after the transaction began; a foreign tool must not write these tables.
    """


class NotAttached(ReplicationError):
    """This database connection does not know the capture functions. Call replication.capture.attach(engine) once."""


class BadTravel(ReplicationError):
    """The list of travelling tables contradicts the tables. Correct the entry that the message names."""


class NotInstalled(ReplicationError):
    """The capture triggers of a table are missing. Call replication.capture.install() after every migration."""


class BadMessage(ReplicationError):
    """What arrived is not a message of this exchange, or was damaged on the way. Send it again."""


class TooLarge(BadMessage):
    """What arrived is larger than the agreed limit. Send smaller parts."""


class BadSignature(BadMessage):
    """What arrived was not signed by who it says it is from. Enrol the office again if its key has changed."""


class UnknownVersion(BadMessage):
    """The other side speaks a newer format of the exchange. Update this node first."""


class SchemaDiffers(ReplicationError):
    """The other node has other tables or columns than this one. Update the older of the two, then exchange again."""


class UnknownOffice(ReplicationError):
    """The centre does not know this office. Enrol it with an invitation first."""
