"""Installs the library's wheel with every Python it is meant for, and trains with it.

    python scripts/check_install.py

Builds the wheel once. With each Python of `VERSIONS` that is found on this machine, resolves all
extras within constraints.txt without downloading them, installs the wheel in an environment of its
own, and trains each algorithm for a few thousand steps, away from the source.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
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
AT_ONCE = 2
"""Pythons that are tried side by side: one waits for the network while another compiles."""


def main() -> None:
    """Prints a line for each version; exits with status 1 if anything fails."""
    pythons = {version: find_python(version) for version in VERSIONS}
    found = {version: python for version, python in pythons.items() if python}
    missing = pythons.keys() - found
    print(f"Pythons | found {listed(found)}, not found {listed(missing)}", flush=True)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        pip = new_pip(Path(folder))
        wheel = build_wheel(pip, Path(folder))
        extras = check_wheel(wheel)
        print(f"Wheel | {wheel.name}, extras {listed(extras)}", flush=True)
        tries = [pool.submit(check, *x, pip, wheel, extras) for x in found.items()]
        for tried in tries:
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
        if (folder / f"python{version}").exists():
            yield str(folder / f"python{version}")


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
    strangers = [x for x in names if not x.startswith(("vibe_rl/", "vibe_rl-"))]
    if strangers or "vibe_rl/py.typed" not in names:
        raise SystemExit(f"{wheel.name}: without py.typed, or with {listed(strangers)}.")
    return extras


def check(version: str, python: str, pip: Sequence[str], wheel: Path, extras: Sequence[str]) -> str:
    """Resolves, installs and trains with one Python; a line that says what was tried."""
    folder = wheel.parent / version
    run(wheel.parent, python, "-m", "venv", "--without-pip", str(folder))
    own = str(folder / "bin" / "python")
    install = (*pip, "--python", own, "install", "-c", CONSTRAINTS)
    run(folder, *install, "--dry-run", "--use-feature=fast-deps", f"{wheel}[{','.join(extras)}]")
    run(folder, *install, "--no-compile", str(wheel))
    code = "import jax, vibe_rl; print('jax', jax.__version__, vibe_rl.__file__)"
    jax_version, _, path = run(folder, own, "-c", code).rpartition(" ")
    if not path.startswith(str(folder)):
        raise SystemExit(f"Python {version} imported {path}, which is not of the wheel.")
    for preset, words in TRAINED.items():
        run(folder, str(folder / "bin" / "vibe-rl"), "train", preset, *words, "--runner.no_plot")
    return f"Python {version} | {jax_version}, all extras resolve, {listed(TRAINED)} train"


def run(folder: Path, *command: str) -> str:
    """What a command prints, run in this folder; SystemExit that shows it if it fails."""
    env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=folder, env=env, text=True, check=False, stdout=-1, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
