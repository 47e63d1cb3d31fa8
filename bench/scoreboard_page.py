"""The page of the scoreboard: docs/scoreboard.md and its pictures, from kept figures."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from scoreboard_rows import CURVE, EPISODES, ROWS
from settings_digest import digest

from vibe_rl.analysis.aggregate import FEW_SEEDS, aggregate
from vibe_rl.plotting.canvas import compact, styled_figure
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.palette import get_colors

BENCH = Path(__file__).parent
DOCS = BENCH.parent / "docs"
PAGE = DOCS / "scoreboard.md"

HEAD = f"""\
# Scoreboard

What presets reach, beside the best that others have published for the same budget.
`python bench/scoreboard.py` writes this page: it trains what `bench/scoreboard.json` lacks, seed
after seed, and may be interrupted. Every score is the mean return of {EPISODES} greedy episodes of
the agent that a training ends with; IQM is the mean of the middle half of the seeds, in brackets
its 95 % bootstrap interval (with fewer than {FEW_SEEDS} seeds it covers less than it says). No seed
here chose a setting. Seconds and steps a second are of the quickest seed, evaluation included and
compilation not: other work on the machine slows the others.
Published figures were measured otherwise, each as its source says: by training returns, or by the
best of several runs.
"""
TABLES = {
    "classic": """\
## Classic control

Our own environments, which step as Gymnasium's do; see [Environments](environments.md).
""",
    "minatar": """\
## MinAtar

`gymnax:` ends an episode after 1,000 steps (Freeway after 2,500), as most published figures have
it; `pgx:` never does, and evaluations of it end after 10,000. Both are ports, and not the same
game to the step. PPO and DQN are the presets `minatar_ppo` and `minatar_dqn` with `--env`.
""",
    "gymnasium": """\
## Gymnasium

Box2D and MuJoCo, in Python's environments; the algorithms' presets of these names.
""",
}
COLUMNS = ("task", "algorithm", "env steps", "seeds", "IQM", "published", "seconds", "steps/s")


def write_page(figures):
    """Writes the page and its pictures; its path."""
    shown = {name: newest(of_row(figures, row)) for name, row in ROWS.items()}
    shown = {name: found for name, found in shown.items() if found}
    parts = [HEAD, *(part(table, shown) for table in TABLES), hackmatrix(), driving()]
    PAGE.write_text("\n".join(part for part in parts if part))
    return PAGE


def of_row(figures, row):
    """The figures of a row with its present settings, by seed."""
    name, settings = row.name, digest(row.config)
    return [x for x in figures if x["row"] == name and x["config"] == settings]


def newest(figures):
    """Those of the newest version that there is."""
    last = max((version_key(x["vibe_rl"]) for x in figures), default=None)
    return [x for x in figures if version_key(x["vibe_rl"]) == last]


def version_key(version):
    """A version as numbers, which compare as they should."""
    return tuple(int(word) for word in version.split(".") if word.isdigit())


def part(table, shown):
    """A table of rows, what they were measured with, and their picture; nothing without any."""
    rows = {name: found for name, found in shown.items() if ROWS[name].table == table}
    if not rows:
        return ""
    lines = [cells(COLUMNS), cells(["---"] * len(COLUMNS))]
    lines += [line(ROWS[name], found) for name, found in rows.items()]
    picture = draw(table, rows)
    return "\n".join(
        [
            TABLES[table],
            *lines,
            "",
            *sources(rows),
            measured_with([x for found in rows.values() for x in found]),
            "",
            f"![Returns of training by env steps]({picture.relative_to(DOCS).as_posix()})",
            "",
        ]
    )


def cells(words):
    """A line of a table."""
    return f"| {' | '.join(map(str, words))} |"


def line(row, found):
    """A row's line."""
    iqm, low, high, n_seeds = aggregate([x["score"] for x in found])
    algorithm = row.name.partition("/")[0].upper()
    seeds = f"{n_seeds}" if n_seeds == len(row.seeds) else f"{n_seeds} of {len(row.seeds)}"
    steps = compact(row.config.runner.total_timesteps)
    published = row.published.figure if row.published else ""
    spent = min(x["seconds"] - x["compile"] for x in found)
    rate = max(x["steps_per_second"] for x in found)
    score = f"**{iqm:.4g}**" + f" [{low:.4g}, {high:.4g}]" * (n_seeds > 1)
    told = (row.config.env_id, algorithm, steps, seeds, score, published)
    return cells([*told, f"{spent:,.{int(spent < 10)}f}", f"{rate:,.0f}"])


def sources(rows):
    """Where the published figures are from, a line each."""
    tasks = defaultdict(list)
    for name in rows:
        if ROWS[name].published:
            tasks[ROWS[name].published.by].append(ROWS[name].config.env_id)
    if not tasks:
        return []
    return [
        "Published:",
        "",
        *(f"* {', '.join(dict.fromkeys(ids))}: {by}." for by, ids in tasks.items()),
        "",
    ]


def measured_with(figures):
    """Versions and machines, each combination once."""
    names = ("vibe_rl", "python", "jax", "numpy", "processor")
    cores = defaultdict(set)
    for x in figures:
        cores[tuple(x[name] for name in names)].add(x["cores"])
    words = "vibe_rl {}, Python {}, jax {}, numpy {}, on cores of {} ({} for a seed)".format
    told = [words(*known, " or ".join(map(str, sorted(n)))) for known, n in sorted(cores.items())]
    seeds = sorted({x["seed"] for x in figures})
    of_seeds = f"Seed {seeds[0]}" if len(seeds) == 1 else f"Seeds {seeds[0]} to {seeds[-1]}"
    return f"Measured with {'; '.join(told)}. {of_seeds}."


def draw(table, rows):
    """The picture of a table: for each task the curves of its rows."""
    tasks = defaultdict(list)
    for name, found in rows.items():
        tasks[ROWS[name].config.env_id, compact(found[0]["steps"])].append((name, found))
    path = DOCS / "figures" / f"scoreboard-{table}.svg"
    across = 5
    down = -(-len(tasks) // across)
    config = PlotConfig()
    with styled_figure(config, path, (3.0 * across, 2.4 * down)) as figure:
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for axis, ((env_id, _), curves) in zip(axes, tasks.items(), strict=False):
            axis.set_title(env_id.rpartition(":")[2], fontsize=10)
            for color, (name, found) in zip(get_colors(), curves, strict=False):
                curve(axis, color, name.partition("/")[0].upper(), found)
            axis.xaxis.set_major_formatter(lambda x, _: compact(x))
            axis.legend(fontsize=8)
        for axis in axes[len(tasks) :]:
            axis.remove()
    return path


def curve(axis, color, label, found):
    """Mean over seeds of the returns of training, and the range of all seeds."""
    points = [np.array(x["curve"]) for x in found if x["curve"]]
    steps = np.linspace(0, found[0]["steps"], CURVE + 1)[1:]
    values = np.array([np.interp(steps, x[:, 0], x[:, 1]) for x in points])
    axis.plot(steps, values.mean(0), color=color, label=label)
    axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)


def read(name):
    """The rows that another bench left."""
    path = BENCH / name
    return json.loads(path.read_text()) if path.exists() else []


def hackmatrix():
    """HackMatrix, by settings: shares of greedy games past stages 1 and 3."""
    by_settings = defaultdict(list)
    for row in read("hackmatrix_learning.json"):
        by_settings[row["settings"], row["env_steps"], row.get("minutes")].append(row)
    head = ("settings", "env steps", "seeds", "past stage 1", "past stage 3", "seconds")
    lines = [cells(head), cells(["---"] * len(head))]
    for (settings, steps, _), rows in by_settings.items():
        past = [[row["greedy"]["past_stage"][stage] for row in rows] for stage in ("1", "3")]
        shares = [", ".join(f"{100 * x:.1f} %" for x in values) for values in past]
        seeds = ", ".join(str(row["seed"]) for row in rows)
        spent = ", ".join(f"{row['seconds']:,}" for row in rows)
        done = compact(round(rows[0]["steps_done"], -5) if len(rows) == 1 else steps)
        lines.append(cells([settings, done, seeds, *shares, spent]))
    return "\n".join(
        [
            "## HackMatrix\n",
            "Of 1,000 greedy games, by `bench/hackmatrix_learning.py`; "
            "[its page](hackmatrix.md) says more.\n",
            *lines,
            "",
        ]
    )


def driving():
    """Scenario driving, by settings: success on held-out scenarios."""
    by_settings = defaultdict(list)
    for row in read("driving_learning.json"):
        by_settings[row["settings"], row["budget"], row.get("train")].append(row)
    head = ("settings", "env steps", "scenes", "seeds", "success", "worst family", "seconds")
    lines = [cells(head), cells(["---"] * len(head))]
    for (settings, steps, train), rows in by_settings.items():
        success = ", ".join(f"{row['last']['success']:.3f}" for row in rows)
        worst = [min(x["success"] for x in row["last"]["families"].values()) for row in rows]
        told = ", ".join(f"{x:.3f}" for x in worst)
        seeds = ", ".join(str(row["seed"]) for row in rows)
        spent = ", ".join(f"{row['seconds']:,}" for row in rows)
        scenes = f"{4 * train:,}"
        lines.append(cells([settings, compact(steps), scenes, seeds, success, told, spent]))
    return "\n".join(
        [
            "## Scenario driving\n",
            "Of 512 held-out scenarios, each driven once, by `bench/driving_learning.py`; "
            "[Driving](driving.md) has the scripted drivers beside them.\n",
            *lines,
            "",
        ]
    )
