"""How an office comes into the company: the code, the keys, and the first copy.

Two steps, each of which may be repeated: `enrol` uses the code and writes DIR (keys, kogge.toml); `first_copy` brings
the company's data, page by page. When the line breaks in between, `kogge join` continues where it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from node import carrier, config, identity, joincode
from node.clock import Clock
from node.config import Config
from node.db import Database
from node.errors import Refused, Unreachable
from node.exchange import Exchange, Progress
from node.exchange_log import Run
from node.schema import TRAVELS
from replication import journal
from replication.travel import fingerprint


async def enrol(folder: Path, text: str, *, version: str, port: int = config.PORT) -> Config:
    """Use a join code for the node in `folder`, which is made if it is not there; return its configuration.

    A node that has joined already with a code for the same office is left as it is. Raise BadCode, Refused,
    Unreachable, RefusedByCentre; then nothing but a new key is in the folder.
    """
    code = joincode.parse(text)
    folder, there = _looked_at(folder)
    if there is not None and there.central:
        raise Refused("This node is head office itself; it cannot join another one.")
    if there is not None and there.office != code.office:
        raise Refused(
            f"This join code is for the office {code.office}, but {folder} is the office {there.office}. "
            f"Ask head office for a code for {there.office}, or name another folder."
        )
    keys = folder / "keys"
    if there is not None and identity.load_centre(keys) is not None:
        return there
    key = identity.ensure_node_key(keys)
    schema = fingerprint(journal.completed(TRAVELS))
    centre, told = await carrier.enrol(code, key, version=version, schema=schema)
    made = there or Config(
        dir=folder, office=code.office, name=str(told.get("office_name", "")) or code.office, port=port,
        exchange_port=min(port + 1, 65535),
    )  # fmt: skip
    config.write(dataclasses.replace(made, dir=folder))
    identity.save_centre(keys, centre)
    return config.read(folder)


def _looked_at(folder: Path) -> tuple[Path, Config | None]:
    """The folder's full name, and the node that is in it. Raise Refused where something else is."""
    folder = folder.resolve()
    if (folder / config.FILE).exists():
        return folder, config.read(folder)
    if folder.exists() and any(p.name != "keys" for p in folder.iterdir()):
        raise Refused(f"{folder} is not empty and not a Kogge folder. Name an empty one, or one that does not exist.")
    return folder, None


async def first_copy(
    db: Database, made: Config, *, clock: Clock, progress: Callable[[Progress], None] | None = None
) -> Run:
    """Bring everything that the company has. The database is migrated already. Raise Unreachable, Refused."""
    run = await Exchange(db, made.dir, clock=clock).run(progress)
    if run.ok:
        return run
    if run.unreachable:
        raise Unreachable(f"{run.error} The office has joined; “kogge exchange” continues the first copy.")
    raise Refused(run.error)
