"""What can go wrong, said as the user will read it.

One root, one leaf per thing that a caller can act on. The message is a whole sentence that names the way out; `code`
is language-free (the API and the pages translate by it), `details` carry what the sentence was made of.
"""

from __future__ import annotations

from typing import Any


class KoggeError(Exception):
    """Something that Kogge refuses or cannot do; its text is a sentence for a person."""

    code = "error"
    status = 500  # over HTTP
    exit_code = 3  # on the command line: refused with a reason

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Refused(KoggeError):
    """The wish is understood and against a rule."""

    code = "refused"
    status = 409


class NotFound(KoggeError):
    """There is no such record, or none that this user may see."""

    code = "not_found"
    status = 404


class Forbidden(KoggeError):
    """The user's role does not allow this."""

    code = "forbidden"
    status = 403


class NotLoggedIn(KoggeError):
    """Nobody is logged in, or the session has ended."""

    code = "not_logged_in"
    status = 401


class TooManyTries(KoggeError):
    """Too many wrong tries; wait for as many seconds as `retry_after_s` says."""

    code = "too_many_tries"
    status = 429


class Stale(KoggeError):
    """The record was changed since it was shown; `stored` and `yours` are the two versions."""

    code = "stale"
    status = 412


class Invalid(KoggeError):
    """Some fields cannot be taken: `fields` maps each to its sentence."""

    code = "fields"
    status = 422

    def __init__(self, fields: dict[str, str], message: str = "") -> None:
        super().__init__(message or "; ".join(f"{name}: {text}" for name, text in fields.items()), fields=fields)
        self.fields = fields


class BadInput(KoggeError):
    """The request or the file cannot be read at all."""

    code = "bad_input"
    status = 400


class Unreachable(KoggeError):
    """The other side did not answer in time."""

    code = "unreachable"
    status = 503
    exit_code = 4


class NewerData(KoggeError):
    """The data was written by a newer version of Kogge."""

    code = "newer_data"
    status = 503
