"""The terminal is left as it was found; keys and sizes are read as they are."""

import os
import pty
import select
import signal
import termios

import pytest
from tmux import VIBE_RL, Window, require

from vibe_rl.env.pictures.cells import cells
from vibe_rl.watching.terminal import ENTER, LEAVE, Terminal


class Pair:
    """Both ends of a terminal without a window."""

    def __init__(self):
        self.far, near = pty.openpty()
        self.keyboard = os.fdopen(near, "r", closefd=False)
        self.display = os.fdopen(near, "w", closefd=False, encoding="utf-8")
        self.near = near

    def terminal(self):
        return Terminal(self.keyboard, self.display)

    def mode(self):
        return termios.tcgetattr(self.near)

    def written(self):
        text = b""
        while select.select([self.far], [], [], 0.05)[0]:
            text += os.read(self.far, 1000)
        return text.decode()


@pytest.fixture
def pair(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ends = Pair()
    yield ends
    ends.keyboard.close()
    ends.display.close()
    os.close(ends.near)
    os.close(ends.far)


def use(pair, act):
    """Opens a terminal, in which lines are not cooked, and does something."""
    with pair.terminal() as terminal:
        assert not pair.mode()[3] & (termios.ICANON | termios.ECHO)
        act(terminal)


def fail(terminal):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (fail, ZeroDivisionError),
        (lambda _: os.kill(os.getpid(), signal.SIGINT), KeyboardInterrupt),
        (lambda _: os.kill(os.getpid(), signal.SIGTERM), SystemExit),
        (lambda _: os.kill(os.getpid(), signal.SIGHUP), SystemExit),
    ],
    ids=["exception", "Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_whatever_ends_it_the_terminal_is_as_before(pair, act, error):
    before, handlers = pair.mode(), [signal.getsignal(n) for n in range(1, 16)]
    with pytest.raises(error):
        use(pair, act)
    assert pair.mode() == before
    assert [signal.getsignal(n) for n in range(1, 16)] == handlers
    written = pair.written()
    assert written.startswith(ENTER)
    assert written.endswith(LEAVE)


def test_keys_are_read_one_by_one_and_arrows_have_names(pair):
    seen = []

    def act(terminal):
        os.write(pair.far, b"q \x1b[A\x1bOD\r\xc3\xa9")
        seen.extend(terminal.key(0.5) for _ in range(6))
        seen.append(terminal.key(0))

    use(pair, act)
    assert seen == ["q", " ", "UP", "LEFT", "ENTER", "\u00e9", None]


def test_escape_alone_is_a_key_and_a_closed_terminal_the_end(pair):
    def act(terminal):
        os.write(pair.far, b"\x1b")
        assert terminal.key(0.5) == "ESC"

    use(pair, act)


def test_a_new_size_is_said_once_and_the_next_frame_has_it(pair):
    def act(terminal):
        termios.tcsetwinsize(pair.near, (7, 33))
        assert terminal.key(1.0) == "RESIZED"
        sizes = []
        terminal.draw(lambda size: sizes.append(size) or cells(["a"]))
        assert sizes == [(33, 7)]
        assert terminal.key(0) is None

    use(pair, act)
    assert "\x1b[1;1H\x1b[2K\x1b[0ma\x1b[0m" in pair.written()


@pytest.mark.slow
def test_a_run_is_watched_with_keys_and_the_terminal_is_restored(run):
    require("tmux")
    with Window(run.parent) as window:
        before = window.modes()
        assert before == "MODES icanon echo 0 1"
        window.command(f"{VIBE_RL} watch {run} --speed 0.2 --episodes 2")
        screen = window.wait_for("episode 1 of 2", "steps/s", "▀")
        assert "probabilities" in screen
        assert "value" in screen
        window.keys("Space")
        at = step_of(window.wait_for("paused"))
        window.keys("n", "n")
        window.wait_for(f"step         {at + 2}", "paused")
        window.keys("+")
        window.keys("r")
        window.wait_for("episode 2 of 2", "step         0", "paused")
        window.tmux("resize-window", "-x", "30", "-y", "12")
        small = window.wait_for("episode 2 of 2", "paused")
        assert len(small.rstrip("\n").splitlines()) <= 12
        window.tmux("resize-window", "-x", "100", "-y", "30")
        window.keys("q")
        window.wait_for(f"episode 1 | return {at + 2} | {at + 2} env steps, cut short", "episode 2")
        assert window.modes() == before


def step_of(screen):
    """The env step that a screen shows."""
    (line,) = (line for line in screen.splitlines() if " step  " in line)
    return int(line.split()[-1])


@pytest.mark.slow
def test_a_person_plays_by_keys_until_ctrl_c_and_what_is_no_key_is_refused(tmp_path):
    require("tmux")
    with Window(tmp_path) as window:
        window.command(f"{VIBE_RL} play GridWorld-v0")
        screen = window.wait_for("your turn", "press a key of the list, q quits", "▀")
        assert "RIGHT d" in screen
        window.keys("x")
        window.wait_for("'x' is no key of this game", "step         0")
        window.keys("d", "Right", "d", "d", "s", "s", "Down")
        window.wait_for("step         7", "return       -0.07")
        window.keys("s")
        window.wait_for("the task ended", "return       0.93", "the episode is over")
        window.keys("Enter")
        window.wait_for("step         0", "press a key")
        window.keys("C-c")
        window.command("echo STATUS $?")
        window.wait_for("STATUS 130")
        assert window.modes() == "MODES icanon echo 0 1"
