"""Headless Chromium for tests: one process, spoken to over a pipe in the DevTools protocol."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
AS_FILES_3_AND_4 = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 103); os.dup2(w, 104); "
    "os.dup2(103, 3); os.dup2(104, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Chromium reads commands from file 3 and answers into file 4."""
SECONDS = 60


def find_chromium():
    """Where Chromium is; where it is not the test is skipped, but in CI it fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = "no Chromium: apt-get install -y --no-install-recommends chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return path


@contextmanager
def open_browser():
    """A browser, ended with the block."""
    (read_commands, commands), (answers, write_answers) = os.pipe(), os.pipe()
    ends = read_commands, write_answers
    for end in ends:
        os.set_inheritable(end, True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [find_chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        start = [sys.executable, "-c", AS_FILES_3_AND_4, *map(str, ends), *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(start, pass_fds=ends, **quiet)
        for end in ends:
            os.close(end)
        try:
            yield Browser(commands, answers)
        finally:
            process.kill()
            process.wait()
            os.close(commands)
            os.close(answers)


class Browser:
    """A window of a running Chromium."""

    def __init__(self, commands, answers):
        self.commands, self.answers, self.buffer, self.n_sent = commands, answers, b"", 0
        self.session, self.complaints = None, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        """Sends a command and waits for its answer."""
        self.n_sent += 1
        message = {"id": self.n_sent, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        answer = self.wait(lambda heard: heard.get("id") == self.n_sent)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def wait(self, wanted):
        """The first message that is wanted; complaints among the others are kept."""
        deadline = time.monotonic() + SECONDS
        while True:
            while b"\0" not in self.buffer:
                ready, _, _ = select.select([self.answers], [], [], deadline - time.monotonic())
                part = os.read(self.answers, 2**20) if ready else b""
                assert part, "Chromium ended or does not answer"
                self.buffer += part
            line, _, self.buffer = self.buffer.partition(b"\0")
            heard = json.loads(line)
            self.note_complaint(heard)
            if wanted(heard):
                return heard

    def note_complaint(self, heard):
        """Errors and warnings of the console, exceptions, and whatever is fetched by network."""
        method, params = heard.get("method"), heard.get("params", {})
        if method in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.complaints.append(params)
        url = params.get("request", {}).get("url", "")
        if method == "Network.requestWillBeSent" and not url.startswith(("file:", "data:")):
            self.complaints.append(url)

    def show(self, path: Path, width, scheme, height=900):
        """Opens a file in a window of some width, light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])
        self.send("Page.navigate", url=path.absolute().as_uri())
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.02)

    def evaluate(self, expression):
        """The value of an expression of JavaScript."""
        how = {"expression": expression, "returnByValue": True}
        answer = self.send("Runtime.evaluate", **how)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path, whole=False):
        """Writes what is seen, or the whole page, as a PNG."""
        how = {"captureBeyondViewport": whole}
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            how["clip"] = {
                "x": 0,
                "y": 0,
                "width": size["width"],
                "height": size["height"],
                "scale": 1,
            }
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", **how)["data"]))
