"""`--distributed`: this command as one process of several."""

from collections.abc import Callable, Sequence
from functools import partial

from vibe_rl.cli.shared.options import parse_int, pop_option
from vibe_rl.errors import ConfigError

FLAG = "--distributed"
LEAST = {"--num_processes": 1, "--process_id": 0, "--timeout": 1}
OPTIONS = ("--coordinator", *LEAST)


def parse_processes(args: Sequence[str]) -> tuple[Callable[[], None] | None, list[str]]:
    """What connects to the other processes, if `--distributed` is given; and the other words.

    Raises:
        ConfigError: it is unknown which process this is, or other options are given without it.
    """
    words, given = list(args), {}
    for option in OPTIONS:
        text, words = pop_option(option, words)
        given |= {} if text is None else {option: text}
    if FLAG not in words:
        if given:
            raise ConfigError(f"{next(iter(given))} is for several processes: add {FLAG} to it.")
        return None, words
    words.remove(FLAG)
    from vibe_rl.system.cluster import TIMEOUT, connect, find_cluster  # noqa: PLC0415

    numbers = {
        option: parse_int(option, given[option], least)
        for option, least in LEAST.items()
        if option in given
    }
    count, index = numbers.get("--num_processes"), numbers.get("--process_id")
    cluster = find_cluster(given.get("--coordinator"), count, index)
    return partial(connect, cluster, numbers.get("--timeout", TIMEOUT)), words
