"""One doorbell over one folder: a second one would close the first one's clip under its hands."""

from pathlib import Path

import pytest

from firmware.app.process import run
from firmware.clips.folder_lock import is_locked, locked_alone
from firmware.config.loader import load_config
from firmware.errors import StoreError


def test_a_second_doorbell_over_the_same_folder_is_refused(tmp_path: Path) -> None:
    config_file = tmp_path / "doorbell.toml"
    config_file.write_text(f'data_dir = "{tmp_path}"\n')
    config = load_config(config_file)
    with locked_alone(config.data_dir), pytest.raises(StoreError, match="another doorbell"):
        run(config, lambda: config)
    assert not (tmp_path / "identity.key").exists()


def test_the_lock_ends_with_whoever_held_it(tmp_path: Path) -> None:
    with locked_alone(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with locked_alone(tmp_path):
        pass
