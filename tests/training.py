"""A prepared run from its session's beginning to its end."""

from vibe_rl.runner.session import open_session


def run_training(run, *, run_dir=None, callback=None, trackers=(), keep_history=False):
    """How it ended; see `Session.train`."""
    with open_session(run, run_dir, callback) as session:
        return session.train(callback, trackers, keep_history)
