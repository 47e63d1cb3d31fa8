"""The worker's side of a benchmark: one contestant, compiled once, run whenever it is asked to.

A driver talks to it in JSON lines on standard input and output:

    {"cmd": "prepare", "settings": {"algorithm": "dqn", "algo": {"num_envs": 1, ...}, ...}}
        -> {"compile_s": 2.1, "steps": 50000, "versions": {"jax": "0.10.2"}}
    {"cmd": "run", "seed": 1}
        -> {"seconds": 2.7, "steps": 50000, "final_return": 500.0}
    {"cmd": "quit"}

Standard library only: every contestant brings its own interpreter.
"""

import json
import os
import sys
import time
from types import SimpleNamespace


def serve(prepare):
    """Answers commands until `quit` or the end of the input.

    Args:
        prepare: `settings -> (start, steps, versions)`, all compiled. `start(seed)` gets
            a run ready off the clock and returns `train`; `train()` trains once, waits for the
            device and returns the final return: a number, None, or a function that finds it out,
            called when the clock has stopped.
    """
    answers = claim_stdout()
    job = None
    for command in map(json.loads, sys.stdin):
        if command["cmd"] == "quit":
            break
        if command["cmd"] == "prepare":
            job, answer = timed_prepare(prepare, command["settings"])
        else:
            answer = timed_run(job, command["seed"])
        print(json.dumps(answer), file=answers, flush=True)


def claim_stdout():
    """A private copy of standard output; what anyone else prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def timed_prepare(prepare, settings):
    began = time.perf_counter()
    start, steps, versions = prepare(settings)
    seconds = time.perf_counter() - began
    return (start, steps), {"compile_s": seconds, "steps": steps, "versions": versions}


def timed_run(job, seed):
    start, steps = job
    train = start(seed)
    began, cpu_began = time.perf_counter(), time.process_time()
    final_return = train()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    if callable(final_return):
        final_return = final_return()
    took = {"seconds": seconds, "cpu_seconds": cpu_seconds}  # the latter of all threads
    return took | {"steps": steps, "final_return": final_return}


def flat(settings):
    """Hyperparameters and budget as the attributes of one object."""
    return SimpleNamespace(env_id=settings["env_id"], **settings["algo"], **settings["runner"])


def whole_updates(s):
    """Updates of a PPO that fit into the budget, and their env steps."""
    n_updates = s.total_timesteps // (s.n_steps * s.num_envs)
    return n_updates, n_updates * s.n_steps * s.num_envs


def mean_of_last_tenth(steps, episodes, returns):
    """Mean return of the training episodes that ended in the last tenth; None for none.

    Args:
        steps: where each entry stands, rising, in any unit.
        episodes: how many ended there.
        returns: their mean return; anything where none ended.
    """
    late = [
        (n, mean)
        for step, n, mean in zip(steps, episodes, returns, strict=True)
        if step >= 0.9 * steps[-1] and n
    ]
    count = sum(n for n, _ in late)
    return float(sum(n * mean for n, mean in late) / count) if count else None
