"""The page about a run, about a group, and about several of them."""

import json
import shlex
from collections.abc import Sequence
from itertools import groupby
from math import inf
from typing import NamedTuple

from vibe_rl.analysis import compare
from vibe_rl.analysis.aggregate import aggregate, aggregate_strata
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.trials import last_return
from vibe_rl.plotting.comparison import plot_comparison
from vibe_rl.report import sections
from vibe_rl.report.command import flat_settings
from vibe_rl.report.episode import episode
from vibe_rl.report.facts import RunFacts
from vibe_rl.report.failures import failures
from vibe_rl.report.figures import CurvesOf, drawn_or_reason, learning_curve, small_curves, to_svg
from vibe_rl.report.html import Html, format_number, join, note, section, table, tag
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import (
    AnyPath,
    by_setting,
    is_group,
    is_population,
    is_sweep,
    members,
    setting_of,
)
from vibe_rl.run_dir.notes import SessionNote

COMMANDS = ("train", "sweep", "evolve", "search")
"""Those of `vibe-rl` that train."""


class Detail(NamedTuple):
    """What a page may hold, so that it does not become too large."""

    episodes: bool = True
    metrics: bool = True  # a figure for each


class Page(NamedTuple):
    """A page without what stands around it."""

    title: str
    under: Html  # the line below the title
    parts: list[Html]


class _Subject(NamedTuple):
    """A run, or a group with its members."""

    path: AnyPath
    facts: RunFacts
    members: list[RunFacts]  # in the order of their settings; none of a run

    @property
    def drawn(self) -> CurvesOf:
        """What its curves are of: members that diverged are left out."""
        if not is_group(self.path):
            return CurvesOf([self.facts])
        finite = [run for run in self.members if run.rows and run.divergence is None]
        if is_population(self.path):  # whose members are not seeds
            return CurvesOf(finite, "none")
        return CurvesOf(finite, "setting" if is_sweep(self.path) else "auto")


def read_subject(path: AnyPath) -> _Subject:
    """All that the files of a run or a group say."""
    return _Subject(path, RunFacts(path), [RunFacts(run) for run in by_setting(members(path))])


def page_of(subject: _Subject, detail: Detail, prefix: str = "m") -> Page:
    """The page about one run or group; `prefix` makes the names of its figures its own."""
    page = group_page if is_group(subject.path) else run_page
    return page(subject, detail, prefix)


def run_page(subject: _Subject, detail: Detail, prefix: str) -> Page:
    """Everything about a run."""
    facts, drawn = subject.facts, subject.drawn
    under = join([facts.name, sections.badge(facts)])
    parts = [note(facts.status[1]), failures(facts.run_dir), sections.cards(facts)]
    if facts.rows:
        parts.append(section("Learning curve", learning_curve(drawn, prefix)))
    parts.append(sections.health([facts]))
    if facts.rows:
        parts.append(section("Evaluation", *_evaluation(facts, drawn, detail, prefix)))
        parts += metrics(facts, drawn, detail, prefix)
    parts.append(_pair(facts.run_dir, sections.timing(facts.sessions), detail))
    parts.append(sections.recordings(facts.run_dir))
    parts += [sections.settings_section(facts), sections.reproduce(facts)]
    history = sections.history(facts, facts.sessions)
    parts += [section("Sessions", history), sections.machine(facts)]
    return Page(facts.title, under, parts)


def _pair(run_dir: RunDir, timing: Html, detail: Detail, of: str = "") -> Html:
    """The episode of a run beside where the time went."""
    if not detail.episodes:
        return timing
    of_whom = note(f"Of {of}.") if of else Html()
    return tag("div", section("Episode", of_whom, episode(run_dir)), timing, class_="pair")


def _evaluation(facts: RunFacts, drawn: CurvesOf, detail: Detail, prefix: str) -> list[Html]:
    names = [name for name in ("eval_return", "q_start", "return_start") if name in facts.metrics]
    figures = small_curves(drawn, names, f"{prefix}-e") if detail.metrics else Html()
    return [sections.evaluations(facts), figures]


def metrics(facts: RunFacts, drawn: CurvesOf, detail: Detail, prefix: str) -> list[Html]:
    """The losses and the other metrics of a run, or of the group that it is a member of."""
    if not detail.metrics:
        return [section("Losses", note("Left out, as the page would be too large."))]
    apart = {*facts.losses, *sections.OF_EVALUATIONS, "episode_return_mean"}
    others = [name for name in facts.metrics if name not in apart]
    losses = small_curves(drawn, facts.losses, f"{prefix}-l")
    found = [section("Losses", losses)] if facts.losses else []
    return [*found, section("Other metrics", small_curves(drawn, others, f"{prefix}-o"))]


def group_page(subject: _Subject, detail: Detail, prefix: str) -> Page:
    """Everything about seeds, a sweep, a population or a search."""
    path, facts, runs = subject
    drawn = subject.drawn
    parts = [standings(path, runs)]
    if drawn.runs:
        parts.insert(0, section("Learning curves", learning_curve(drawn, prefix)))
    parts.append(sections.health(runs))
    parts += metrics(drawn.runs[0], drawn, detail, prefix) if drawn.runs else []
    shared = shared_sessions(runs)
    timing = sections.timing(shared)
    best = max(drawn.runs, key=_best_evaluation, default=None)
    parts.append(timing if best is None else _pair(best.run_dir, timing, detail, best.name))
    parts.append(sections.settings_section(facts))
    seeds = [run.config["runner"]["seed"] for run in runs if run.configs]
    if _are_seeds(runs):
        parts.append(sections.reproduce(facts, seeds))
    elif recorded_command(facts):
        parts.append(sections.reproduce(facts, command=recorded_command(facts)))
    parts += [section("Sessions", sections.history(facts, shared)), sections.machine(facts)]
    return Page(facts.title, tag("span", f"{facts.name}, {len(runs)} runs"), parts)


def _best_evaluation(facts: RunFacts) -> float:
    return max(facts.column("eval_return"), default=-inf)


def _are_seeds(runs: Sequence[RunFacts]) -> bool:
    """Whether they differ in nothing but their seeds."""
    return not any(setting_of(run.run_dir) for run in runs) and all(
        run.name.startswith("seed_") for run in runs
    )


def recorded_command(facts: RunFacts) -> str | None:
    """The command line that trained a group first, if it was one of `vibe-rl`."""
    words = facts.manifests[0].get("command", []) if facts.manifests else []
    return shlex.join(["vibe-rl", *words[1:]]) if words[1:2] and words[1] in COMMANDS else None


def shared_sessions(runs: Sequence[RunFacts]) -> list[SessionNote]:
    """The sessions of a group: runs that were trained side by side have the same ones."""
    notes = [each for run in runs for each in run.sessions]
    return list({json.dumps([each.from_step, each.seconds]): each for each in notes}.values())


def standings(path: AnyPath, runs: Sequence[RunFacts]) -> Html:
    """How each member stands, and each setting with its interval."""
    rows = []
    for run in runs:
        found = run.column("eval_return")
        ends = (found[-1], max(found)) if found else ("none", "none")
        rows.append([run.name, sections.badge(run), run.step, *ends, len(run.health)])
    header = ["run", "ended", "env steps", "last evaluation", "best evaluation", "health lines"]
    parts = [table(header, rows, "Members")]
    if not is_population(path):
        parts.insert(0, _settings_table(runs))
    return section("Results", *parts)


def _settings_table(runs: Sequence[RunFacts]) -> Html:
    """Interquartile means over seeds, the best first."""
    rows = []
    for setting, group in groupby(runs, lambda run: setting_of(run.run_dir)):
        last = [last_return(run.run_dir) for run in group]
        returns = [x for x in last if x is not None]
        if returns:
            iqm, low, high, n = aggregate(returns)
            rows.append((iqm, [setting or "all", iqm, _interval(low, high), n, min(returns)]))
    if not rows:
        return note("No run was evaluated.")
    rows.sort(key=lambda row: -row[0])
    header = ["setting", "IQM of last evaluations", "95 % interval", "seeds", "worst seed"]
    return table(header, [row for _, row in rows], "Settings")


def _interval(low: float, high: float) -> str:
    """Its ends."""
    return f"[{format_number(low)}, {format_number(high)}]"


def comparison_page(subjects: Sequence[_Subject], detail: Detail) -> Page:
    """Several runs or groups beside each other, then each of them."""
    facts = [subject.facts for subject in subjects]
    runs = [run for subject in subjects for run in subject.drawn.runs]
    parts = [
        section("Learning curves", learning_curve(CurvesOf(runs, "directory"), "all")),
        section("Scores", *scores([subject.path for subject in subjects])),
        section("Settings that differ", differing(facts)),
    ]
    for i, subject in enumerate(subjects):
        page = page_of(subject, detail, f"r{i}")
        title = tag("summary", page.title, " · ", page.under)
        parts.append(tag("details", title, *page.parts, class_="run"))
    names = ", ".join(each.name for each in facts)
    return Page(f"{len(facts)} runs compared", tag("span", names), parts)


def scores(paths: Sequence[AnyPath]) -> list[Html]:
    """Interquartile means over seeds with intervals, and what speaks against them."""
    try:
        comparison = compare(paths)
    except ConfigError as error:
        return [note(f"No comparison: {error}")]
    rows = []
    for name, strata in comparison.scores.items():
        iqm, low, high, n = aggregate_strata(strata)
        rows.append([name, iqm, _interval(low, high), n, min(float(x.min()) for x in strata)])
    header = ["", "IQM of last evaluations", "95 % interval", "seeds", "worst seed"]
    caveats = [tag("li", caveat) for caveat in comparison.caveats]

    def draw() -> Html:
        alt = "Performance profiles, and interquartile means with their intervals."
        figure = to_svg(plot_comparison(comparison.scores), "scores", alt)
        return tag("div", figure, class_="wide", tabindex="0", role="region", aria_label=alt)

    return [table(header, rows, "Scores"), tag("ul", *caveats), drawn_or_reason(draw)]


def differing(facts: Sequence[RunFacts]) -> Html:
    """The fields in which the configs of several runs differ."""
    configs = [dict(flat_settings(sections.normal(each.config))) for each in facts]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [
        [tag("code", name), *(sections.value_in_words(config.get(name, "")) for config in configs)]
        for name in names
        if len({json.dumps(config.get(name)) for config in configs}) > 1
    ]
    if not rows:
        return note("None.")
    return table(["field", *(each.name for each in facts)], rows, "Settings that differ")
