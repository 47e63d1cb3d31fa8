"""The parts of a page about one run."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from vibe_rl.configs.train_config import from_dict, to_dict
from vibe_rl.env.registry import is_name
from vibe_rl.errors import ConfigError
from vibe_rl.report.command import (
    differences,
    flat_settings,
    nearest_preset,
    recorded_preset,
    resume_commands,
    trainer_commands,
)
from vibe_rl.report.command import train_command as command_of
from vibe_rl.report.facts import RunFacts
from vibe_rl.report.html import Html, duration, format_number, join, note, section, table, tag
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.notes import SessionNote
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.timing import PHASES

OF_EVALUATIONS = (
    "eval_return",
    "eval_return_std",
    "eval_length",
    "eval_finished",
    "q_start",
    "return_start",
)
FILMS = (".gif", ".mp4")
MEANING = {
    "compile": "calls that compile",
    "chunks": "waiting for chunks of updates",
    "evaluate": "evaluations",
    "save": "checkpoints",
    "host": "all else on the host",
    "data": "waiting for env_params",
}


def badge(facts: RunFacts) -> Html:
    """How the run ended, in a word."""
    return tag("span", facts.status[0], class_=f"badge {facts.status[0]}")


def cards(facts: RunFacts) -> Html:
    """The numbers one looks for first."""
    evaluations, speeds = facts.column("eval_return"), sorted(facts.column("steps_per_second"))
    returns = facts.column("episode_return_mean") or facts.column("episode_return")
    found = {
        "last evaluation": format_number(evaluations[-1]) if evaluations else None,
        "best evaluation": format_number(max(evaluations)) if evaluations else None,
        "last training return": format_number(returns[-1]) if returns else None,
        "env steps": f"{facts.step:,}",
        "time": None if facts.seconds is None else duration(facts.seconds),
        "env steps per second": format_number(round(speeds[len(speeds) // 2])) if speeds else None,
        "seed": facts.config.get("runner", {}).get("seed"),
    }
    pairs = [(name, value) for name, value in found.items() if value is not None]
    return tag("dl", *(tag("div", tag("dt", n), tag("dd", v)) for n, v in pairs), class_="cards")


def health(runs: Sequence[RunFacts]) -> Html:
    """What was noticed while they trained."""
    several = len(runs) > 1
    lines = [
        tag("li", f"{facts.name}, " if several else "", f"env step {x.step:,}: {x.text}.")
        for facts in runs
        for x in facts.health
    ]
    if not lines:
        return section("Health", note("Nothing unhealthy was noticed."))
    return section("Health", tag("ul", *lines, class_="health"))


def evaluations(facts: RunFacts) -> Html:
    """The newest evaluations as a table."""
    rows = [row for row in facts.rows if isinstance(row.get("eval_return"), int | float)]
    if not rows:
        return note("It was never evaluated.")
    columns = [name for name in OF_EVALUATIONS if any(name in row for row in rows)]
    body = [[f"{row['step']:,}", *(row.get(name, "") for name in columns)] for row in rows[-10:]]
    shown = f"The last {len(body)} of {len(rows)} evaluations"
    header = ["env step", *(name.replace("_", " ") for name in columns)]
    return join([note(f"{shown}, greedy."), table(header, body, shown)])


def timing(sessions: Sequence[SessionNote]) -> Html:
    """Where the time went, all sessions together."""
    measured = [each for each in sessions if each.seconds]
    if not measured:
        return section("Timing", note("Where its time went was not measured."))
    sums = {name: sum(each.seconds.get(name, 0.0) for each in measured) for name in PHASES}  # type: ignore[union-attr]
    total = sum(sums.values()) or 1.0
    parts = [
        tag("i", class_=f"part p{i}", style=f"width:{100 * seconds / total:.2f}%")
        for i, seconds in enumerate(sums.values())
    ]
    rows = [
        [_key(i, name), MEANING[name], duration(x), f"{x / total:.1%}"]
        for i, (name, x) in enumerate(sums.items())
    ]
    members = max(each.members for each in measured)
    shared = f" {members} runs were trained side by side in this time." if members > 1 else ""
    words = f"{duration(total)} in {len(measured)} session{'s' * (len(measured) > 1)}.{shared}"
    bar = tag("div", *parts, class_="bar", role="img", aria_label="Shares of the time")
    return section("Timing", note(words), bar, table(["", "what", "time", "share"], rows, "Timing"))


def _key(i: int, name: str) -> Html:
    return join([tag("i", class_=f"key p{i}"), " ", name])


def history(facts: RunFacts, sessions: Sequence[SessionNote]) -> Html:
    """Its sessions: what began them, and how they ended."""
    header = ["began (UTC)", "env steps", "ended", "time", "command"]
    rows = []
    for manifest, ended in _paired(facts.manifests, sessions):
        span = (
            f"{ended.from_step:,} to {'…' if ended.step is None else f'{ended.step:,}'}"
            if ended
            else ""
        )
        seconds = duration(sum(ended.seconds.values())) if ended and ended.seconds else ""
        began = str(manifest.get("created", "")).removesuffix("+00:00").replace("T", " ")
        command = tag("code", shlex.join(map(str, manifest.get("command", []))))
        rows.append([began, span, ended.status if ended else "", seconds, command])
    return table(header, rows, "Sessions") if rows else note("Its sessions were not recorded.")


def _paired(
    manifests: Sequence[Mapping[str, Any]], sessions: Sequence[SessionNote]
) -> list[tuple[Mapping[str, Any], SessionNote | None]]:
    """Each session's manifest and its end, which a killed one does not have.

    Notes of older versions have no number; they are taken in their order.
    """
    began = dict(enumerate(manifests, 1))
    ended = {note.manifest or i: note for i, note in enumerate(sessions, 1)}
    return [(began.get(i, {}), ended.get(i)) for i in sorted({*began, *ended})]


def machine(facts: RunFacts) -> Html:
    """Device and versions of its newest session."""
    if not facts.manifests:
        return section("Device and versions", note("They were not recorded."))
    newest = facts.manifests[-1]
    record = {k: v for k, v in newest.items() if k not in ("created", "command", "seed")}
    rows = [
        [name, "none" if value is None else str(value)] for name, value in flat_settings(record)
    ]
    return section("Device and versions", table(["", ""], rows, "Device and versions"))


def normal(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config with the fields that did not exist when it was written."""
    try:
        return plain(to_dict(from_dict(config)))
    except (ConfigError, TypeError, KeyError):
        return dict(config)


def recordings(run_dir: RunDir) -> Html:
    """Links to the films in the directory of a run; nothing if there are none."""
    films = [path.name for path in sorted(run_dir.videos.glob("*")) if path.suffix in FILMS]
    if not films:
        return Html()
    lines = [tag("li", tag("a", name, href=f"videos/{quote(name)}")) for name in films]
    where = note("They lie beside this page where it is in the directory of the run.")
    return section("Recordings", where, tag("ul", *lines))


def settings_section(facts: RunFacts) -> Html:
    """Its config: what differs from the preset, then all of it."""
    if not facts.configs:
        return section("Config", note("None was recorded: it was trained by a program of its own."))
    config, preset = normal(facts.config), _preset(facts)
    parts = []
    base = None if preset is None else recorded_preset(preset, config)
    if base is not None:
        changes = differences(base, config)
        rows = [
            [tag("code", x.field), value_in_words(x.there), value_in_words(x.here)] for x in changes
        ]
        words = f"Different from the preset {preset}" if rows else f"That of the preset {preset}."
        parts.append(note(words + (":" if rows else "")))
        parts += [table(["field", preset, "this run"], rows, words)] if rows else []
    rows = [[tag("code", name), value_in_words(value)] for name, value in flat_settings(config)]
    whole = table(["field", "value"], rows, "All fields")
    return section("Config", *parts, tag("details", tag("summary", "All fields"), whole))


def _unbroken(command: str) -> Html:
    """A command that is broken between words only, and not after their hyphens."""
    words = [tag("span", word, class_="word") for word in command.split(" ")]
    return join([*(part for word in words for part in (word, " ")), "\n"])


def value_in_words(value: Any) -> str:
    """A value of a config, for people."""
    return "None" if value is None else str(tuple(value) if isinstance(value, list) else value)


def _preset(facts: RunFacts) -> str | None:
    first = facts.manifests[0].get("command", []) if facts.manifests else []
    return nearest_preset(normal(facts.configs[0]), first)


def reproduce(facts: RunFacts, seeds: Sequence[int] = (), command: str | None = None) -> Html:
    """The command that trains it again, and those that resumed it with other settings.

    Args:
        facts: of the run or the group.
        seeds: of a group.
        command: what trained a group of another kind; None makes it from the config.
    """
    if not facts.configs:
        return section("Reproduce", note("No config was recorded: run its program again."))
    lines = trainer_commands(facts.manifests, str(facts.run_dir))
    if not lines:
        configs = [normal(config) for config in facts.configs]
        again = command or command_of(configs[0], str(facts.run_dir), _preset(facts), seeds)
        lines = [again, *resume_commands(configs, str(facts.run_dir))]
    parts = [tag("pre", tag("code", *map(_unbroken, lines)), tabindex="0")]
    commit = facts.manifests[0].get("commit") if facts.manifests else None
    if commit:
        parts.append(note(f"At the commit {commit} of the directory in which it was trained."))
    env_id = facts.config.get("env_id")
    if not is_name(str(env_id)):
        parts.append(note(f"{env_id} has to be registered first."))
    return section("Reproduce", *parts)
