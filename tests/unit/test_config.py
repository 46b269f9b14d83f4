"""kogge.toml: what is written is read back, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import config
from node.config import AlreadyRuns, BadConfig, Config


def test_every_setting_survives_writing_and_reading(tmp_path: Path) -> None:
    made = Config(
        dir=tmp_path, office="BER", name='Berlin "Mitte" — \\ Ж', central=True, database="postgresql://a:b@host/n",
        host="0.0.0.0", port=9000, exchange_port=9443, public_urls=("https://hq.example",), every_minutes=0,
        times=("07:30", "18:45"), backup_hour=None, backup_keep=3, backup_folder="/mnt/usb",
    )  # fmt: skip
    config.write(made)
    assert config.read(tmp_path) == made
    assert (tmp_path / config.FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('office = "BER', "not a valid TOML file"),
        ('office = "Berlin Mitte"', "no office code"),
        ('office = "BER"\nexchange = 5', "must be a section"),
        ('office = "BER"\n[web]\nport = "80"', "web.port"),
        ('office = "BER"\n[web]\nport = 70000', "not between 1 and 65535"),
        ('office = "BER"\n[exchange]\ntimes = ["25:00"]', "not a time of day"),
        ('office = "BER"\n[database]\nurl = "mysql://x"', "no database that Kogge works with"),
        ('office = "BER"\n[backup]\nevery = 3', "there is no setting “every”"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=said):
        config.parse(text, tmp_path)


def test_one_folder_is_run_once(tmp_path: Path) -> None:
    with config.only_process(tmp_path):
        (tmp_path / "run.json").write_text('{"pid": 7, "url": "http://127.0.0.1:8300"}')
        assert config.runs(tmp_path) == {"pid": 7, "url": "http://127.0.0.1:8300"}
        with pytest.raises(AlreadyRuns, match="process 7 at http"), config.only_process(tmp_path):
            pass
    assert config.runs(tmp_path) is None  # the file is left over, nobody holds the folder
