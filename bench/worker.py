"""The worker's side of a benchmark: one contestant, compiled once, run whenever it is asked to.

A driver talks to it in JSON lines on standard input and output:

    {"cmd": "prepare", "num_envs": 4, "total_timesteps": 500000}
        -> {"compile_s": 2.1, "steps": 499712, "versions": {"jax": "0.10.2"}}
    {"cmd": "run", "seed": 1}
        -> {"seconds": 2.7, "steps": 499712, "final_return": 500.0}
    {"cmd": "quit"}

Standard library only: every contestant brings its own interpreter.
"""

import json
import os
import sys
import time


def serve(prepare):
    """Answers commands until `quit` or the end of the input.

    Args:
        prepare: `(num_envs, total_timesteps) -> (run, steps, versions)`, with everything compiled.
            `run(seed)` trains once, waits for the device and returns the final return: a number,
            None, or a function that finds it out, called when the clock has stopped.
    """
    answers = claim_stdout()
    job = None
    for command in map(json.loads, sys.stdin):
        if command["cmd"] == "quit":
            break
        if command["cmd"] == "prepare":
            job, answer = timed_prepare(prepare, command["num_envs"], command["total_timesteps"])
        else:
            answer = timed_run(job, command["seed"])
        print(json.dumps(answer), file=answers, flush=True)


def claim_stdout():
    """A private copy of standard output; what anyone else prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def timed_prepare(prepare, num_envs, total_timesteps):
    began = time.perf_counter()
    run, steps, versions = prepare(num_envs, total_timesteps)
    seconds = time.perf_counter() - began
    return (run, steps), {"compile_s": seconds, "steps": steps, "versions": versions}


def timed_run(job, seed):
    run, steps = job
    began = time.perf_counter()
    final_return = run(seed)
    seconds = time.perf_counter() - began
    if callable(final_return):
        final_return = final_return()
    return {"seconds": seconds, "steps": steps, "final_return": final_return}
