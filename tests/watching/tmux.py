"""A terminal that tests look at: tmux runs a program, keys are sent, the screen is read back."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processes import environ

SECONDS = 60.0
"""For which a screen is waited for: other tests may take all cores."""
VIBE_RL = shlex.join([sys.executable, "-m", "vibe_rl"])


def require(program: str) -> None:
    """Skips a test where a program is missing; not in CI, which installs it."""
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"{program} is not installed")


class Window:
    """A shell in a window of this size, in a folder; a context."""

    def __init__(self, folder: Path, columns: int = 100, lines: int = 30):
        self.name = f"vibe_rl_{os.getpid()}_{id(self)}"
        self.size = ["-x", str(columns), "-y", str(lines)]
        self.variables = environ(
            PYTHONUTF8="1", PS1="$ ", TMUX="", PYTHONPATH=os.pathsep.join(sys.path)
        )
        self.folder = folder

    def __enter__(self):
        shell = ["bash", "--norc", "--noprofile"]
        self.tmux("new-session", "-d", *self.size, "-c", str(self.folder), *shell)
        return self

    def __exit__(self, *_):
        self.tmux("kill-server")

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-L", self.name, "-f", os.devnull, *words]
        done = subprocess.run(
            command, env=self.variables, capture_output=True, text=True, check=True
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Sends keys, by tmux's names."""
        self.tmux("send-keys", *keys)

    def command(self, line: str) -> None:
        """Types a line into the shell."""
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def screen(self) -> str:
        """What is seen."""
        return self.tmux("capture-pane", "-p")

    def wait_for(self, *texts: str) -> str:
        """The screen once it shows all of these."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            seen = self.screen()
            if all(text in seen for text in texts):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"{texts} were not seen, but\n{self.screen()}")

    def modes(self) -> str:
        """Whether the cursor is seen, another screen is on, and the line is cooked and echoed."""
        self.command("clear; stty -a | grep -oE -e '-?(icanon|echo)\\b' | xargs echo MODE''S")
        line = next(x for x in self.wait_for("MODES ").splitlines() if x.startswith("MODES "))
        flags = self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip()
        return f"{line} {flags}"
