"""A process of `vibe-rl hackmatrix-server`, and what one asks it."""

import json
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import Any

from vibe_rl.errors import ConfigError, EnvironmentDiedError

COMMAND = (sys.executable, "-m", "vibe_rl", "hackmatrix-server")
PATIENCE = 5.0
"""Seconds that a server gets to end by itself."""


class Client:
    """A server of its own, which ends with this object and with this process.

    Args:
        *options: words for the server, such as `--shaping=signed`.
    """

    def __init__(self, *options: str):
        self._process = subprocess.Popen(
            [*COMMAND, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, whose end ends the server
        )
        self._sent, self._received = _pipes(self._process)
        self.close = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """The reply to a command.

        Raises:
            ConfigError: the server refuses it.
            EnvironmentDiedError: the server has ended.
        """
        command = json.dumps({"action": action, **fields})
        reply = json.loads(self._exchange(command.encode() + b"\n"))
        if "error" in reply:
            raise ConfigError(f"HackMatrix's server: {reply['error']}")
        return reply

    def _exchange(self, line: bytes) -> bytes:
        try:
            self._sent.write(line)
            self._sent.flush()
            reply = self._received.readline()
        except (OSError, ValueError):  # a pipe without a reader, a closed one
            reply = b""
        if not reply.endswith(b"\n"):
            status = self._process.poll()
            raise EnvironmentDiedError(
                f"HackMatrix's server {self.pid} has ended (status {status}): make the environment "
                "anew."
            )
        return reply


def _pipes(process: subprocess.Popen) -> tuple[Any, Any]:
    """Its stdin and its stdout."""
    return process.stdin, process.stdout


def _end(process: subprocess.Popen) -> None:
    """Ends a server by closing its stdin, or else by force."""
    for pipe in _pipes(process):
        with suppress(OSError):  # what was not sent has no reader
            pipe.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
