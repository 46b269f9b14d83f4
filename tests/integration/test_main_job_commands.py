"""The commands of docs/main-job.md, run as they stand, by a shell, with the installed `kogge`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support import classicmodels
from tests.support.ports import free_range

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


@pytest.mark.slow
def test_the_documented_commands_do_the_main_job(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("bash and curl are needed for the commands of docs/main-job.md")
    data = classicmodels.files()[0].parent
    commands = "\n".join(BLOCK.findall((ROOT / "docs" / "main-job.md").read_text("utf-8")))
    port = free_range(22)
    environment = {**os.environ, "DATA": str(data), "WORK": str(tmp_path), "PORT": str(port)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    before, after = (json.loads((tmp_path / f"revenue-{when}.json").read_text()) for when in ("before", "after"))
    assert {row["office"]: Decimal(row["revenue"]) for row in before["items"]} == classicmodels.REVENUE
    assert Decimal(before["total"]) == classicmodels.REVENUE_TOTAL
    assert Decimal(after["total"]) == classicmodels.REVENUE_TOTAL + 200 * Decimal("117.95")
    assert json.loads((tmp_path / "inbox.json").read_text()) == {"delete": 5, "field": 25}
    assert json.loads((tmp_path / "inbox-decided.json").read_text()) == {}
    shown = (tmp_path / "two-conflicts.json").read_text()
    assert "PAR" in shown
    assert "LON" in shown
