"""Installs the library's wheel with every Python it is meant for, and trains with it.

    python scripts/check_install.py

Builds the wheel once. With each Python of `VERSIONS` that is found on this machine, resolves all
extras within constraints.txt without downloading them, installs the wheel in an environment of its
own, and trains each algorithm for a few thousand steps, away from the source. One Python has to be
found; the others are named.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = str(ROOT / "constraints.txt")
VERSIONS = ("3.11", "3.12", "3.13")
TRAINED = {
    "cartpole_ppo": ("--runner.total_timesteps", "8192"),
    "cartpole_dqn": ("--runner.total_timesteps", "4000"),
    "pendulum_sac": ("--runner.total_timesteps", "2000", "--algo.hidden_sizes", "(32, 32)"),
}
"""A preset of each algorithm, and what makes it short."""
LEFT_OUT = {"3.13": ("gymnax",)}
"""Extras whose packages take no jax as new as that which constraints.txt has for a Python."""
ONE_TRAINS = {preset: Lock() for preset in TRAINED}
"""Pythons are tried side by side, but train in turn: the first compiles what the others read."""
OURS = ("vibe_rl/", "vibe_rl-", "hydra_plugins/vibe_rl")
"""What the files of the wheel begin with."""
FORGOTTEN = ("PYTHONPATH", "JAX_COMPILATION_CACHE_DIR")
"""Variables that would bring in the source, or programs compiled before."""
LONGEST = 600
"""Seconds after which a command is taken to hang."""


def main() -> None:
    """Prints what was tried with each version; exits with status 1 if anything fails."""
    pythons = {version: find_python(version) for version in VERSIONS}
    found = {version: python for version, python in pythons.items() if python}
    missing = pythons.keys() - found
    print(f"Pythons | found {listed(found)}, not found {listed(missing)}", flush=True)
    if not found:
        raise SystemExit(f"Nothing was tried: install one of Python {listed(VERSIONS)}.")
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2 * len(found)) as pool:
        pip = new_pip(Path(folder))
        wheel = build_wheel(pip, Path(folder))
        extras = check_wheel(wheel)
        print(f"Wheel | {wheel.name}, extras {listed(extras)}", flush=True)
        homes = [new_environment(wheel.parent, *x) for x in found.items()]
        resolved = [pool.submit(check_resolves, home, pip, wheel, extras) for home in homes]
        trained = [pool.submit(check_trains, home, pip, wheel) for home in homes]
        for tried in chain(resolved, trained):
            print(tried.result(), flush=True)


def listed(names: Iterable[str]) -> str:
    """The names in a row, or `none`."""
    return ", ".join(sorted(names)) or "none"


def find_python(version: str) -> str | None:
    """The first interpreter of this version that runs."""
    return next((x for x in candidates(version) if is_python(x, version)), None)


def candidates(version: str) -> Iterator[str]:
    """This interpreter, those on the PATH, and what pyenv and uv have installed."""
    yield sys.executable
    on_path = (Path(x) for x in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    uv = Path.home() / ".local" / "share" / "uv" / "python"
    installed = chain(pyenv.glob(f"{version}.*/bin"), uv.glob(f"cpython-{version}.*/bin"))
    for folder in chain(on_path, installed):
        if path := shutil.which(f"python{version}", path=str(folder)):
            yield path


def is_python(path: str, version: str) -> bool:
    """Whether it is what its name says: pyenv has placeholders for all that it ever installed."""
    code = "import sys, venv; print(*sys.version_info[:2], sep='.')"
    tried = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return tried.returncode == 0 and tried.stdout.strip() == version


def new_pip(folder: Path) -> tuple[str, ...]:
    """A pip that resolves without downloading, for any interpreter: old ones fetch gigabytes."""
    run(folder, sys.executable, "-m", "venv", str(folder / "pip"))
    pip = (str(folder / "pip" / "bin" / "python"), "-m", "pip")
    run(folder, *pip, "install", "-c", CONSTRAINTS, "pip")
    return pip


def build_wheel(pip: Sequence[str], folder: Path) -> Path:
    """Builds it from the source."""
    run(folder, *pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_wheel(wheel: Path) -> list[str]:
    """The extras it declares; SystemExit if it holds too little or too much."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        extras = message_from_bytes(archive.read(metadata)).get_all("Provides-Extra", [])
    strangers = [x for x in names if not x.startswith(OURS)]
    if strangers or "vibe_rl/py.typed" not in names:
        raise SystemExit(f"{wheel.name}: without py.typed, or with {listed(strangers)}.")
    return extras


def new_environment(folder: Path, version: str, python: str) -> Path:
    """An empty environment of this Python, which any pip can install in."""
    run(folder, python, "-m", "venv", "--without-pip", str(folder / version))
    return folder / version


def check_resolves(home: Path, pip: Sequence[str], wheel: Path, extras: Sequence[str]) -> str:
    """Resolves all extras for the Python of an environment; a line that says so."""
    left_out = LEFT_OUT.get(home.name, ())
    extras = [extra for extra in extras if extra not in left_out]
    install = (*pip, "--python", str(home / "bin" / "python"), "install", "-c", CONSTRAINTS)
    run(home, *install, "--dry-run", "--use-feature=fast-deps", f"{wheel}[{','.join(extras)}]")
    return f"Python {home.name} | all extras resolve, left out {listed(left_out)}"


def check_trains(home: Path, pip: Sequence[str], wheel: Path) -> str:
    """Installs the wheel in an environment and trains with it; a line that says what was tried."""
    own = str(home / "bin" / "python")
    run(home, *pip, "--python", own, "install", "-c", CONSTRAINTS, "--no-compile", str(wheel))
    code = "import jax, vibe_rl; print('jax', jax.__version__, vibe_rl.__file__)"
    jax_version, _, path = run(home, own, "-c", code).rpartition(" ")
    if not path.startswith(str(home)):
        raise SystemExit(f"Python {home.name} imported {path}, which is not of the wheel.")
    for preset, words in TRAINED.items():
        command = (str(home / "bin" / "vibe-rl"), "train", preset, *words, "--runner.no_plot")
        with ONE_TRAINS[preset]:
            run(home, *command, XDG_CACHE_HOME=str(wheel.parent / "cache"))
    return f"Python {home.name} | {jax_version}, {listed(TRAINED)} train"


def run(folder: Path, *command: str, **env: str) -> str:
    """What a command prints, run in this folder; SystemExit that shows it if it fails or hangs."""
    kept = {k: v for k, v in os.environ.items() if k not in FORGOTTEN}
    how = {"cwd": folder, "env": kept | env, "stderr": subprocess.STDOUT}
    try:
        return subprocess.check_output(command, timeout=LONGEST, **how).decode().strip()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stdout or b"").decode(errors="replace")
        raise SystemExit(f"{' '.join(command)}\n{error}\n{said}") from error


if __name__ == "__main__":
    main()
