"""What processes agree on, where there is only one."""

import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.system.processes import broadcast_text, check_same, greatest, run_on_first


def test_one_process_agrees_with_itself():
    assert greatest(3) == 3
    assert broadcast_text(lambda: "runs/äöü") == "runs/äöü"
    check_same("settings", "anything")
    with pytest.raises(ConfigError, match="in the way"):
        run_on_first(refuse)


def refuse():
    """What a process may not do."""
    raise ConfigError("something is in the way.")
