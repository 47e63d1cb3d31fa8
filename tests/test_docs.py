"""The documentation is true: its code runs, its tables are the dataclasses', its links resolve.

`python tests/test_docs.py` writes the tables anew after a field has changed.
"""

import ast
import dataclasses
import inspect
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from glob import glob
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml

from compiling import as_users_do, one_device
from vibe_rl import cli, configs
from vibe_rl.algorithms import DQNConfig, DQNMetrics, PPOConfig, PPOMetrics, SACConfig, SACMetrics
from vibe_rl.cli.shared.options import pop_option
from vibe_rl.cli.shared.processes import parse_processes
from vibe_rl.configs import PRESETS, TrainConfig, hackmatrix
from vibe_rl.configs.for_env import FOR_ANY_ENV
from vibe_rl.env import registry
from vibe_rl.env.driving.io.tables.columns import COLUMNS
from vibe_rl.env.hackmatrix.rules import PARTS
from vibe_rl.plotting import PlotConfig
from vibe_rl.plotting.groups import try_to_draw_curve
from vibe_rl.report.html import Html
from vibe_rl.run_dir import find_runs
from vibe_rl.runner import (
    DQNTrainResult,
    EvalMetrics,
    FitResult,
    PPOMetricsHistory,
    PPOTrainState,
    RunnerConfig,
    SACTrainResult,
)
from vibe_rl.trainers.driving.keys import PipelineKeys

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)

READ = ("text", "json", "sh", "yaml")
"""Languages of blocks that are read and not run: sh is for commands that need several machines."""
NOT_RUN = (
    "make",
    "python bench/learning.py",
    "python bench/speed.py",
    "python bench/devices.py",
    "python bench/seeds.py",
    "python bench/tracking.py",
    "python bench/ppo_trainer.py",
    "git clone",
    "pip install",
    "cd",
    "source",
    "export",
)
TINY = ["--runner.total_timesteps", "2048", "--runner.eval_episodes", "2"]
TINY_WITH_REPLAY = ["--runner.total_timesteps", "1024", "--runner.eval_episodes", "2"]
"""Of a single run: the warm-up of the presets, and a little more."""
FEW = {
    "train": {},
    "sweep": {"--seeds": "0:2"},
    "search": {"--seeds": "0:2", "--trials": "2"},
    "evolve": {"--members": "4", "--every": "1024"},
}
"""Options of each command that trains which take the place of the page's own and of its defaults:
groups of two or four runs, of which each size is one program, whatever the page and the command."""
FEW_EPISODES = {
    "train": {"--episodes": "12", "--convergence-window": "3", "--target-reward": "5"},
    "sweep": {"--episodes": "4", "--convergence-window": "2", "--seeds": "0:1"},
    "benchmark": {"--episodes": "20"},
}
"""The same of `ppo-cartpole`."""
FEW_UPDATES = {"--num-envs": "8", "--num-steps": "16", "--total-timesteps": "512"}
"""The same of `train-hackmatrix`: four updates."""
SCRIPTS = {
    "scripts/train.py": "train",
    "scripts/train_hackmatrix.py": "train-hackmatrix",
    "scripts/train_driving.py": "driving train",
}
"""The commands that scripts stand for."""
BUDGET = re.compile(r"(total_timesteps|max_episodes)=(\d[\d_]*)")
MOST = {"total_timesteps": 4096, "max_episodes": 12}
"""Of the Python on a page."""
OF_DEVICES = ("multi-gpu",)
TO_BE_COMPLETED = re.compile(r"runs/(.+)_\.\.\.")

TABLES = {
    kind.__name__: kind
    for kind in (
        *(TrainConfig, PPOConfig, DQNConfig, SACConfig, RunnerConfig, PlotConfig),
        PipelineKeys,
    )
}
NAMES_TOLD = {
    "configuration": tuple(PRESETS),
    "environments": registry.names(),
    "evaluation": EvalMetrics._fields,
    "hackmatrix": PARTS,
    "scenarios": tuple(name for columns in COLUMNS.values() for name in columns),
    "off-policy": (
        *DQNMetrics._fields,
        *SACMetrics._fields,
        *DQNTrainResult._fields,
        *SACTrainResult._fields,
    ),
    "training": (
        *PPOMetrics._fields,
        *PPOMetricsHistory._fields,
        *PPOTrainState._fields,
        *FitResult._fields,
    ),
}


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int  # of its first line of code in the page, counted from 1


def blocks(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        yield Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)


def prose(text: str) -> str:
    """The page without its blocks."""
    return BLOCK.sub("", text)


@pytest.fixture
def clean_tables() -> Iterator[None]:
    """What a page adds to the tables of presets and environments is gone afterwards."""
    tables = (PRESETS, registry._registry)
    before = [dict(table) for table in tables]
    yield
    for table, items in zip(tables, before, strict=True):
        table.clear()
        table.update(items)


@pytest.fixture
def _few_of_all(monkeypatch):
    """No evaluation of HackMatrix, no figures of reports, and few reward curves: a page that trains
    has one of a run and one of a group."""
    runner = dataclasses.replace(hackmatrix.PUBLISHED.runner, eval_episodes=0)
    published = dataclasses.replace(hackmatrix.PUBLISHED, runner=runner)
    monkeypatch.setattr(hackmatrix, "PUBLISHED", published)
    monkeypatch.setattr("vibe_rl.report.pages.small_curves", lambda *args: Html())
    for module in ("runner.session", "experiment.group"):
        monkeypatch.setattr(f"vibe_rl.{module}.try_to_draw_curve", first_of(try_to_draw_curve))


def first_of(draw):
    """Draws the curve of one run, and none of the others on a page."""
    runs = []

    def drawn(run_dir):
        runs.append(run_dir)
        return draw(run_dir) if len(runs) == 1 else None

    return drawn


@pytest.mark.slow
@pytest.mark.usefixtures("clean_tables", "few_figures", "trackers_here", "_few_of_all")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_code_block_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)  # on a busy machine too
    module = ModuleType("page_" + page.stem.replace("-", "_"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with as_users_do(), nullcontext() if page.stem in OF_DEVICES else one_device():
        run_page(page, module)


def run_page(page: Path, module: ModuleType) -> None:
    """Runs the blocks in their order: Python in the module, commands in this process."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python":
            code = BUDGET.sub(at_most_few_steps, block.code)
            lines = "\n" * (block.line - 1) + code  # a failure names the page's own line
            exec(compile(lines, str(page), "exec"), module.__dict__)
        elif block.language == "bash":
            run_lines(block.code)
        else:
            assert block.language in READ, f"{page.name}:{block.line}: which language?"


def at_most_few_steps(budget: re.Match[str]) -> str:
    return f"{budget[1]}={min(int(budget[2]), MOST[budget[1]])}"


def run_lines(code: str) -> None:
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and not any(f"{line} ".startswith(f"{name} ") for name in NOT_RUN):
            run_command(command_line_arguments(words))


def run_command(args: list[str]) -> None:
    status = None
    try:
        composed = args[:2] == ["driving", "train"]  # and not trained
        cli.main([*args, "--cfg"] if composed else with_tiny_budget(args))
    except SystemExit as end:  # --help ends this way too
        status = end.code
    assert not status, f"vibe-rl {shlex.join(args)} ended with exit status {status}"


def command_line_arguments(words: list[str]) -> list[str]:
    """What follows `vibe-rl` in a command, as a shell would pass it on."""
    script = SCRIPTS.get(words[1]) if words[0] == "python" and len(words) > 1 else None
    assert words[0] == "vibe-rl" or script, (
        f"{shlex.join(words)!r} is no command that the documentation may use: "
        "write `vibe-rl ...`, or add its first word to NOT_RUN."
    )
    head, rest = (script.split(), words[2:]) if script else ([], words[1:])
    return [*head, *(path for word in rest for path in completed(word))]


def completed(word: str) -> list[str]:
    """`runs/NAME_...` becomes the newest run of that name; a star stands for all that match."""
    run = TO_BE_COMPLETED.fullmatch(word)
    if run:
        return [str(find_runs("runs", run[1])[-1])]
    return sorted(glob(word)) if "*" in word else [word]


def with_tiny_budget(args: list[str]) -> list[str]:
    """The last of two equal flags counts, so this takes the place of the page's own budget."""
    own = options_of_its_own(args)
    if own is not None:
        return with_options(args, own)
    command, options = args[0], FEW.get(args[0])
    if options is None or "--help" in args:
        return args
    if command == "train" and "--seeds" in args:
        options = {"--seeds": "0:2"}
    if command == "sweep":
        args = [with_two_values(word) for word in args]
    args = with_options(args, options)
    if command == "evolve":
        args = [*args, "--runner.eval_every", "1024"]
    return [*args, *tiny(args)]


def tiny(args: list[str]) -> list[str]:
    """The budget of a command that trains."""
    if args[1] in FOR_ANY_ENV:
        return [*TINY, "--algo.num_envs", "4"]
    with_replay = args[0] == "train" and args[1].endswith(("_dqn", "_sac"))
    return TINY_WITH_REPLAY if with_replay else TINY


def options_of_its_own(args: list[str]) -> dict[str, str] | None:
    """Those of a command that has no fields of a config; None of any other."""
    if args[0] == "ppo-cartpole":
        return FEW_EPISODES[args[1]]
    if args[0] == "train-hackmatrix":
        return {} if "--resume" in args else FEW_UPDATES
    return None


def with_options(args: list[str], options: dict[str, str]) -> list[str]:
    """The words with these values of options, whatever they had."""
    for name, value in options.items():
        args = [*pop_option(name, args)[1], name, value]
    return args


def with_two_values(word: str) -> str:
    """The first two of values with commas, as far as they are numbers."""
    return word if "(" in word else ",".join(word.split(",")[:2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scripts_for_several_machines_and_their_commands_are_understood(page):
    environment = {"JAX_COORDINATOR_ADDRESS": "a:1", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "yaml":
            assert all(part["kind"] for part in yaml.safe_load_all(block.code))
        if block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)
            check_distributed(block.code.replace("$i", "0"), environment)


def check_distributed(code: str, environment: dict[str, str]) -> None:
    """Reads the commands of several processes as the command line does."""
    for line in code.replace("\\\n", " ").splitlines():
        _, command, rest = line.partition("vibe-rl train ")
        words = shlex.split(rest.rstrip("& "), comments=True)
        if command and "--resume" not in words:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                join, others = parse_processes(words)
            assert join is not None
            configs.cli(others)


def test_a_command_that_is_not_known_fails():
    with pytest.raises(AssertionError, match="no command that the documentation may use"):
        run_lines("rm -r runs")


def test_a_command_that_ends_with_an_error_fails():
    with pytest.raises(AssertionError, match="exit status 2"):
        run_lines("vibe-rl train no_such_preset")


def test_a_train_command_gets_a_budget_that_takes_the_place_of_its_own():
    words = shlex.split("python scripts/train.py pendulum_ppo --runner.total_timesteps 500000")
    _, *args = with_tiny_budget(command_line_arguments(words))
    runner = configs.cli(args).runner
    assert (runner.total_timesteps, runner.eval_episodes) == (2048, 2)


@pytest.mark.parametrize(
    ("words", "few"),
    [
        ("train cartpole_ppo --seeds 0:8", "train cartpole_ppo --seeds 0:2"),
        ("sweep a --algo.lr 1,2,3 --seeds 0:4", "sweep a --algo.lr 1,2 --seeds 0:2"),
        ("search a --algo.lr 1:2", "search a --algo.lr 1:2 --seeds 0:2 --trials 2"),
        ("evolve a --members 8", "evolve a --members 4 --every 1024 --runner.eval_every 1024"),
        ("plot a --seeds 0:8", None),
    ],
)
def test_a_command_that_trains_a_group_gets_a_small_one(words, few):
    expected = words.split() if few is None else [*few.split(), *TINY]
    assert with_tiny_budget(words.split()) == expected


def test_python_that_trains_for_long_gets_few_steps():
    code = "RunnerConfig(total_timesteps=100_000, seed=1), RunnerConfig(total_timesteps=2048)"
    few = "RunnerConfig(total_timesteps=4096, seed=1), RunnerConfig(total_timesteps=2048)"
    assert BUDGET.sub(at_most_few_steps, code) == few


def table(kind: type) -> str:
    """A Markdown table of a dataclass: every field, its type, default and meaning."""
    fields = dataclasses.fields(kind)
    meanings = field_meanings(kind)
    kinds = any(field.metadata.get("static") for field in fields)
    heads = ["field", "type", "default", *(["kind"] if kinds else []), "meaning"]
    rows = [heads, ["---"] * len(heads)]
    for field in fields:
        sort = ["static" if field.metadata.get("static") else "number"] if kinds else []
        shown = (field.name, type_text(field), default_text(field))
        rows.append([*(f"`{cell}`" for cell in shown), *sort, meanings[field.name]])
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows
    )


def field_meanings(kind: type) -> dict[str, str]:
    """The string that stands under each field in the source, or where it is inherited from."""
    meanings = {}
    for base in filter(dataclasses.is_dataclass, reversed(kind.__mro__)):
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                meanings[field.target.id] = " ".join(text.value.value.split())  # type: ignore[attr-defined]
    return meanings


def type_text(field: dataclasses.Field) -> str:
    shown = field.type.__name__ if type(field.type) is type else str(field.type)
    return re.sub(r"\w+\.", "", shown)  # classes without their modules


def default_text(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory
        return "{}" if made is dict else f"{made.__name__}()"  # type: ignore[attr-defined]
    whole_number = isinstance(field.default, int) and not isinstance(field.default, bool)
    return f"{field.default:_}" if whole_number else repr(field.default)


def markers(name: str) -> tuple[str, str]:
    return f"<!-- fields of {name} -->\n\n", "\n\n<!-- end of fields -->"


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_a_config_class_lists_every_field_with_its_default(name):
    start, end = markers(name)
    shown = [
        page for page in PAGES if f"{start}{table(TABLES[name])}{end}" in page.read_text("utf-8")
    ]
    assert shown, f"the table of {name} is not up to date: run `python tests/test_docs.py`."


@pytest.mark.parametrize(("stem", "names"), NAMES_TOLD.items(), ids=NAMES_TOLD)
def test_a_page_names_all_of_its_subject(stem, names):
    text = prose((DOCS / f"{stem}.md").read_text(encoding="utf-8"))
    assert [name for name in names if f"`{name}`" not in text] == []


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings can be linked by."""
    headings = HEADING.findall(prose(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_relative_link_resolves(page):
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        assert not fragment or fragment in anchors(target), f"{page.name}: no heading for {link}"


def test_the_index_links_to_every_page():
    links = set(LINK.findall((DOCS / "README.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"README.md"} <= links


def write_tables() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, kind in TABLES.items():
            start, end = markers(name)
            old = re.compile(re.escape(start.strip()) + ".*?" + re.escape(end.strip()), re.DOTALL)
            text = old.sub(partial(_first, start + table(kind) + end), text)
        page.write_text(text, encoding="utf-8")


def _first(text: str, _: re.Match[str]) -> str:
    return text


if __name__ == "__main__":
    write_tables()
