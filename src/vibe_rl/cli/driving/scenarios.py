"""`vibe-rl scenarios generate | import | export | validate | show`: sets of driving scenarios."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.shared.options import asks_help, parse_words, split_names
from vibe_rl.errors import shown, unknown

if TYPE_CHECKING:
    from vibe_rl.cli.driving.scenarios_options import OutputOptions

COMMANDS = {
    "generate": "Make scenarios: vibe-rl scenarios generate --count 1000 --seed 0 --out DIR.",
    "import": "Convert recordings: vibe-rl scenarios import SOURCE --kind csv --out DIR.",
    "export": "Write a set as tables: vibe-rl scenarios export DIR --kind csv --out TABLES.",
    "validate": "Check every scenario, a line for each bad one: vibe-rl scenarios validate DIR.",
    "show": "Print what a set holds, or one of it: vibe-rl scenarios show DIR [--uid 7].",
}


def scenarios(args: Sequence[str]) -> None:
    """Runs one of the commands."""
    if not args or asks_help(args[:1]):
        lines = [f"  {name:10s}{does}" for name, does in COMMANDS.items()]
        print("\n".join(["usage: vibe-rl scenarios COMMAND ...", "", *lines]))
        return
    name, *words = args
    if name not in COMMANDS:
        raise unknown("command of scenarios", name, COMMANDS)
    run = {"generate": generate, "import": import_, "export": export, "validate": validate}
    {**run, "show": show}[name](words)


def generate(words: Sequence[str]) -> None:
    """Makes scenarios by the procedural generator."""
    from vibe_rl.cli.driving.scenarios_options import GenerateOptions  # noqa: PLC0415
    from vibe_rl.env.driving.knobs import knobs_of  # noqa: PLC0415

    options = parse_words(GenerateOptions, words, "vibe-rl scenarios generate")
    generated = import_module("vibe_rl.env.driving.generate").generate
    families = tuple(split_names(options.families))
    what = {"seed": options.seed, "count": options.count, "families": families}
    knobs = knobs_of(options)
    made = generated(**what, knobs=knobs, processes=options.processes)
    about = {"kind": "procedural", **what, "knobs": asdict(knobs)}
    _write(made, options.count, options, about)


def import_(words: Sequence[str]) -> None:
    """Converts what others have recorded."""
    from vibe_rl.cli.driving.scenarios_options import ImportOptions  # noqa: PLC0415

    options = parse_words(ImportOptions, words, "vibe-rl scenarios import")
    from vibe_rl.env.driving.io.importing import importer, parse_dims  # noqa: PLC0415

    found = importer(options.kind)(options.source, parse_dims(options.slots))
    _write(found, None, options, {"kind": options.kind, "source": Path(options.source).name})


def _write(
    made: Iterable[Any], count: int | None, options: "OutputOptions", generator: Mapping[str, Any]
) -> None:
    """Writes scenarios as they are made, with a progress bar on a terminal."""
    from tqdm import tqdm  # noqa: PLC0415

    from vibe_rl.env.driving.io import SplitRule, write_scenarios  # noqa: PLC0415
    from vibe_rl.env.driving.io.summary import summary_of_set  # noqa: PLC0415

    split = SplitRule(options.salt, options.valid_fraction)
    with tqdm(made, total=count, unit="scenario", disable=None) as bar:
        manifest = write_scenarios(options.out, iter(bar), generator=generator, split=split)
    print("\n".join(summary_of_set(Path(options.out), manifest)))


def export(words: Sequence[str]) -> None:
    """Writes a set as tables."""
    from vibe_rl.cli.driving.scenarios_options import ExportOptions  # noqa: PLC0415

    options = parse_words(ExportOptions, words, "vibe-rl scenarios export")
    from vibe_rl.env.driving.io.tables.files import write_tables  # noqa: PLC0415

    write_tables(options.kind, options.path, options.out)
    print(f"Tables | {shown(options.out)}")


def validate(words: Sequence[str]) -> None:
    """Prints a line for every bad scenario; if there is one, the exit status is 1."""
    import tyro  # noqa: PLC0415

    def options(path: tyro.conf.Positional[str]) -> str:
        """Checks every scenario of a set.

        Args:
            path: A set of scenarios.
        """
        return path

    path = parse_words(options, words, "vibe-rl scenarios validate")
    from vibe_rl.env.driving.io import iterate  # noqa: PLC0415
    from vibe_rl.env.driving.scenarios.validate import problems_of_scenario  # noqa: PLC0415

    checked = bad = 0
    for place, scenario in enumerate(iterate(path)):
        found, checked = problems_of_scenario(scenario), place + 1
        if found:
            bad += 1
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            print(f"scenario {place} (uid {scenario.scenario_uid}): {found[0]}{more}")
    print(f"Scenarios | {checked - bad:,} of {checked:,} are valid")
    if bad:
        raise SystemExit(1)


def show(words: Sequence[str]) -> None:
    """Prints what a set or a scenario holds, and draws one."""
    from vibe_rl.cli.driving.scenarios_options import ShowOptions  # noqa: PLC0415

    options = parse_words(ShowOptions, words, "vibe-rl scenarios show")
    from vibe_rl.env.driving.io import read_manifest  # noqa: PLC0415
    from vibe_rl.env.driving.io.summary import find_scenario, summary_of_scenario, summary_of_set  # noqa: PLC0415

    path, uid = Path(options.path), options.uid
    manifest = read_manifest(path)
    if uid is None:
        print("\n".join(summary_of_set(path, manifest)))
    else:
        print("\n".join(summary_of_scenario(find_scenario(path, manifest, uid))))
    if options.png:
        from vibe_rl.plotting.scenario import plot_scenario  # noqa: PLC0415

        drawn = find_scenario(path, manifest, manifest.ids[0] if uid is None else uid)
        plot_scenario(drawn, save_path=options.png)
        print(f"Figure | {shown(options.png)}")
