"""`--distributed`: this command as one process of several."""

from collections.abc import Callable, Sequence
from functools import partial

from vibe_rl.cli.words import taken_out
from vibe_rl.errors import ConfigError

FLAG = "--distributed"
OPTIONS = ("--coordinator", "--num_processes", "--process_id", "--timeout")


def processes(args: Sequence[str]) -> tuple[Callable[[], None] | None, list[str]]:
    """What joins the other processes, if `--distributed` asks for it; and the other words.

    Raises:
        ConfigError: it is not known which process this is, or other options are given without it.
    """
    words, given = list(args), {}
    for option in OPTIONS:
        text, words = taken_out(option, words)
        given |= {} if text is None else {option: text}
    if FLAG not in words:
        if given:
            raise ConfigError(f"{next(iter(given))} is for several processes: add {FLAG} to it.")
        return None, words
    words.remove(FLAG)
    from vibe_rl.distributed import TIMEOUT, connect, find_cluster  # noqa: PLC0415

    count, index, timeout = (whole(option, given.get(option)) for option in OPTIONS[1:])
    if timeout == 0:
        raise ConfigError("--timeout 0: give at least a second.")
    cluster = find_cluster(given.get("--coordinator"), count, index)
    return partial(connect, cluster, timeout or TIMEOUT), words


def whole(option: str, text: str | None) -> int | None:
    """The number after an option."""
    if text is not None and not text.isdecimal():
        raise ConfigError(f"{option} {text}: give a whole number.")
    return None if text is None else int(text)
