"""`vibe-rl envs`."""

from collections.abc import Collection, Iterator, Sequence
from warnings import catch_warnings

from vibe_rl.cli.shared.options import asks_help
from vibe_rl.errors import ConfigError

OURS = "vibe_rl"
HELP = """usage: vibe-rl envs [SUITE]

Names the environments that --env takes, of every suite that is installed.
With the name of a suite, such as gymnax, shows their spaces too; vibe_rl shows those of this
library's own."""


def envs(args: Sequence[str]) -> None:
    """Prints the names of the environments by suite; of one suite with what each shows and takes.

    Raises:
        ConfigError: there is no such suite, or it is not installed.
    """
    if asks_help(args):
        print(HELP)
        return
    if len(args) > 1:
        raise ConfigError(f"vibe-rl envs takes one suite: leave out {' '.join(args[1:])}.")
    for line in lines_of(args[0]) if args else _lines():
        print(line, flush=True)


def _lines() -> Iterator[str]:
    """The names of this library's own environments, a line each, and those of suites below."""
    from vibe_rl.env.adapters import suites  # noqa: PLC0415
    from vibe_rl.env.registry import names  # noqa: PLC0415

    yield from names()
    for prefix in suites.installed():
        yield from ("", f"{prefix}: vibe-rl envs {prefix} shows their spaces")
        yield from suites.names(prefix)
    missing = [prefix for prefix in suites.SUITES if prefix not in suites.installed()]
    if missing:
        extras = ",".join(suites.SUITES[prefix].extra for prefix in missing)
        yield from ("", f"Not installed: {', '.join(missing)}: pip install 'vibe-rl[{extras}]'")


def lines_of(suite: str) -> Iterator[str]:
    """A line for each environment of a suite: what it shows, and what it takes."""
    from vibe_rl.env.adapters import suites  # noqa: PLC0415
    from vibe_rl.env.registry import names  # noqa: PLC0415
    from vibe_rl.errors import unknown  # noqa: PLC0415

    if suite not in (OURS, *suites.SUITES):
        raise unknown("suite", suite, [OURS, *suites.SUITES])
    known = names() if suite == OURS else suites.names(suite)
    return _described(known)


def _described(names: Collection[str]) -> Iterator[str]:
    """A line for each name, with its spaces; or why there is no such environment here."""
    from vibe_rl.env.registry import make  # noqa: PLC0415

    width = max(map(len, names), default=0)
    for name in names:
        try:
            with catch_warnings(action="ignore"):  # of what is out of date there
                env, env_params = make(name)
            spaces = env.observation_space(env_params), env.action_space(env_params)
            said = f"{spaces[0]} -> {spaces[1]}"
        except ConfigError as error:
            said = f"cannot be made: {error}"
        yield f"{name:{width}s}  {said}"
