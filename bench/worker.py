"""One contestant of a benchmark: a process that compiles once and then runs when it is told to.

A driver writes JSON lines to its standard input and reads JSON lines from its standard output:
`{"cmd": "prepare", "num_envs": 4, "total_timesteps": 500000}` -> `{"compile_s": 2.1, ...}`,
`{"cmd": "run", "seed": 1}` -> `{"seconds": 2.7, "steps": 499712, "final_return": 500.0}`.
Standard library only, for contestants bring their own interpreters.
"""

import json
import sys
import time


def serve(prepare):
    """Answers commands until the input ends.

    Args:
        prepare: (num_envs, total_timesteps) -> (run, steps, versions), everything compiled, where
            run(seed) trains once, waits for the result and returns the last mean return.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    run, steps = None, 0
    for line in sys.stdin:
        command = json.loads(line)
        began = time.perf_counter()
        if command["cmd"] == "prepare":
            run, steps, versions = prepare(command["num_envs"], command["total_timesteps"])
            answer = {"compile_s": time.perf_counter() - began, "versions": versions}
        else:
            final_return = run(command["seed"])
            seconds = time.perf_counter() - began
            answer = {"seconds": seconds, "steps": steps, "final_return": final_return}
        print(json.dumps(answer), file=answers, flush=True)
