import warnings

import pytest

from vibe_rl.tracking import Tee, Tracker


class Recorder:
    def __init__(self, fails_in=()):
        self.fails_in = fails_in
        self.heard = []

    def _hear(self, name, *args):
        self.heard.append((name, *args))
        if name in self.fails_in:
            raise ConnectionError("gone")

    def log(self, metrics, step):
        self._hear("log", metrics, step)

    def log_config(self, config):
        self._hear("log_config", config)

    def log_file(self, path):
        self._hear("log_file", path)

    def close(self):
        self._hear("close")


def play(tracker):
    tracker.log_config({"lr": 0.1})
    tracker.log({"loss": 1.0}, 10)
    tracker.log_file("curve.png")
    tracker.close()


STORY = [
    ("log_config", {"lr": 0.1}),
    ("log", {"loss": 1.0}, 10),
    ("log_file", "curve.png"),
    ("close",),
]


def test_every_tracker_hears_everything_in_order():
    trackers = [Recorder(), Recorder()]
    play(Tee(*trackers))
    assert [tracker.heard for tracker in trackers] == [STORY, STORY]


def test_a_tee_of_nothing_is_the_null_tracker():
    tee = Tee()
    assert isinstance(tee, Tracker)
    play(tee)


def test_a_tracker_overrides_only_what_it_needs():
    class Returns(Tracker):
        def __init__(self):
            self.seen = []

        def log(self, metrics, step):
            self.seen.append((metrics, step))

    tracker = Returns()
    play(tracker)
    assert tracker.seen == [({"loss": 1.0}, 10)]


def test_leaving_a_tee_closes_its_trackers():
    recorder = Recorder()
    with Tee(recorder):
        pass
    assert recorder.heard == [("close",)]


def test_tees_nest():
    recorder = Recorder()
    play(Tee(Tee(recorder)))
    assert recorder.heard == STORY


def test_a_tracker_that_fails_warns_once_goes_quiet_and_is_still_closed():
    broken, whole = Recorder(fails_in=("log",)), Recorder()
    tee = Tee(broken, whole)
    with pytest.warns(RuntimeWarning, match="Recorder failed in log .*ConnectionError: gone"):
        tee.log({"loss": 1.0}, 1)
    tee.log({"loss": 2.0}, 2)
    tee.close()
    assert broken.heard == [("log", {"loss": 1.0}, 1), ("close",)]
    assert whole.heard == [("log", {"loss": 1.0}, 1), ("log", {"loss": 2.0}, 2), ("close",)]


def test_a_quiet_tracker_that_fails_again_in_close_is_not_heard_of():
    tee = Tee(Recorder(fails_in=("log", "close")))
    with pytest.warns(RuntimeWarning, match="failed in log"):
        tee.log({}, 1)
    tee.close()


def test_the_others_are_served_even_where_warnings_are_errors():
    whole = Recorder()
    tee = Tee(Recorder(fails_in=("log",)), whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning):
            tee.log({}, 1)
    assert whole.heard == [("log", {}, 1)]


class Ending(Recorder):
    def close(self, status):
        self._hear("close", status)


@pytest.mark.parametrize(
    ("raised", "status"),
    [(None, "finished"), (KeyboardInterrupt, "interrupted"), (ValueError, "failed")],
)
def test_a_tracker_may_want_to_know_how_the_run_ended(raised, status):
    recorder = Ending()
    try:
        with Tee(recorder):
            if raised is not None:
                raise raised
    except (KeyboardInterrupt, ValueError):
        pass
    assert recorder.heard == [("close", status)]


def test_who_knows_better_than_an_exception_says_how_the_run_ended():
    recorder = Ending()
    with Tee(recorder) as tee:
        tee.status = "interrupted"
    assert recorder.heard == [("close", "interrupted")]


def test_a_backend_with_two_methods_is_a_tracker_too():
    class Backend:
        def __init__(self):
            self.heard = []

        def log(self, record, step=None):
            self.heard.append((record, step))

        def close(self):
            self.heard.append("closed")

    backend = Backend()
    tee = Tee(backend)
    tee.rewind(5)
    play(tee)
    assert backend.heard == [({"loss": 1.0}, 10), "closed"]


def test_an_interrupt_is_no_failure_of_a_tracker():
    class Interrupted(Recorder):
        def log(self, metrics, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tee(Interrupted()).log({}, 1)
