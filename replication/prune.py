"""Forget what nobody needs any more: old history, and what was kept in case the hub goes back in time.

A log entry serves three purposes: to be sent, to be offered again to a restored hub, and as history. It goes when it is
answered, is safe (or older than an age that the operator has chosen and sees), and is older than the history is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from replication import capture, net

ENTRIES_MAX = 10_000  # per call, so that nobody waits long for the one writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    entries: int
    answers: int
    more: bool  # call again


_OLD = """
SELECT l.seq FROM exchange_log l JOIN exchange_tx x ON x.number = l.tx JOIN exchange_author a ON a.number = x.author
LEFT JOIN exchange_life f ON f.office = '' AND f.life = a.life AND a.office = ''
WHERE l.seq <= :answered AND x.at < :history
AND (l.op = 2 OR :hub = 1 OR (l.seq <= coalesce(f.told, 0) AND (l.seq <= coalesce(f.safe, 0) OR x.at < :unsafe)))
ORDER BY l.seq LIMIT :most
"""


def prune(conn: sa.Connection, *, history_from: int, unsafe_from: int, hub: bool = False) -> Pruned:
    """Delete at most ENTRIES_MAX log entries, in the caller's transaction.

    `history_from`: ms since 1970; older history goes. `unsafe_from`: likewise; what is older goes even if no backup of
    the hub is known to contain it: after a restore of the hub it could not be offered again. `hub`: this is the hub,
    which offers nothing again.
    """
    capture.hold_writers(conn)
    values = {
        "answered": int(net.get_state(conn, net.PENDING_FROM, "0")),
        "history": history_from,
        "unsafe": unsafe_from,
        "hub": int(hub),
        "most": ENTRIES_MAX,
    }
    old = [{"seq": seq} for seq in conn.execute(sa.text(_OLD), values).scalars()]
    if old:
        conn.execute(sa.text("DELETE FROM exchange_log WHERE seq = :seq"), old)
        conn.execute(sa.text("DELETE FROM exchange_unseen WHERE seq = :seq"), old)
    answers = conn.execute(
        sa.text("DELETE FROM exchange_received WHERE at < :unsafe"), {"unsafe": unsafe_from}
    ).rowcount
    more = len(old) == ENTRIES_MAX
    if not more:  # transactions of which no entry is left; the present one has perhaps not begun to write
        conn.execute(
            sa.text(
                "DELETE FROM exchange_tx WHERE at < :history AND number < (SELECT max(number) FROM exchange_tx) "
                "AND number NOT IN (SELECT tx FROM exchange_log)"
            ),
            {"history": history_from},
        )
    return Pruned(entries=len(old), answers=answers, more=more)
