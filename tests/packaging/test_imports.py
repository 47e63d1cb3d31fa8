"""What is imported when: names when they are asked for, commands when they run."""

import ast
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

import vibe_rl
from processes import environ
from vibe_rl.cli import program

SLOW = ("jax", "numpy", "scipy", "tyro", "argparse", "equinox")


def modules_after(*words: str) -> set[str]:
    """The modules that `python -m vibe_rl` has imported when it ends with status 0."""
    code = f"""
import runpy, sys
sys.argv = ["vibe-rl", *{words!r}]
try:
    runpy.run_module("vibe_rl", run_name="__main__")
except SystemExit as end:
    assert not end.code, end
print(*sys.modules, file=sys.stderr)
"""
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)], ids=" ".join)
def test_help_imports_nothing_that_takes_long(words):
    assert not modules_after(*words).intersection(SLOW)


def test_envs_imports_no_training():
    assert not modules_after("envs").intersection({"optax", "orbax", "tyro", "vibe_rl.runner"})


@pytest.mark.parametrize("command", ["plot", "compare"])
def test_figures_import_no_jax(command):
    assert not modules_after(command, "--help").intersection({"jax", "vibe_rl.runner"})


@pytest.mark.parametrize("name", program.COMMANDS)
def test_every_command_of_the_table_has_its_function(name):
    room, _, module = program.command(name).__module__.rpartition(".")
    assert room.startswith("vibe_rl.cli")
    assert module == name.replace("-", "_")


@pytest.mark.parametrize("name", vibe_rl.__all__)
def test_every_name_of_the_package_is_found(name):
    code = f"from vibe_rl import {name}; import vibe_rl; assert vibe_rl.{name} is {name}"
    exec(code, {})
    assert name in dir(vibe_rl)


def test_editors_see_the_same_modules_as_imports_use():
    tree = ast.parse(Path(vibe_rl.__file__).read_text())
    told = {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("vibe_rl.")
        for name in node.names
    }
    assert told == {name: f"vibe_rl.{home}" for name, home in vibe_rl._HOMES.items()}
    assert sorted(told) == vibe_rl.__all__


def test_no_room_is_too_full_to_look_around_in():
    """20 files at most, but for `runner`, most of whose names the design fixes."""
    home = Path(vibe_rl.__file__).parent
    rooms = {path.parent for path in home.rglob("*.py")}
    full = {str(room.relative_to(home)) for room in rooms if len([*room.glob("*.py")]) > 20}
    assert full <= {"runner"}


def test_a_submodule_is_an_attribute_without_an_import_of_its_own():
    code = "import vibe_rl; vibe_rl.env.make('CartPole-v1'); vibe_rl.run_dir.RunDir"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"env", "runner", "types"} <= set(dir(vibe_rl))


@pytest.fixture(scope="module")
def uninstalled(tmp_path_factory):
    """Runs Python with the source on its path and all packages but this one installed."""
    packages, installed = tmp_path_factory.mktemp("packages"), sysconfig.get_path("purelib")
    for path in Path(installed).iterdir():
        if "vibe_rl" not in path.name:
            (packages / path.name).symlink_to(path)
    path = os.pathsep.join([str(Path(vibe_rl.__file__).parents[1]), str(packages)])

    def run(*words: str) -> str:
        command = [sys.executable, "-S", *words]
        how = {"stdout": subprocess.PIPE, "text": True, "env": environ(PYTHONPATH=path)}
        return subprocess.run(command, check=True, **how).stdout

    return run


def test_the_source_works_without_being_installed(uninstalled):
    code = "import vibe_rl; from vibe_rl.run_dir.manifest import versions; print(versions())"
    assert f"'vibe_rl': '{vibe_rl.__version__}'" in uninstalled("-c", code)
    assert "CartPole-v1" in uninstalled("-m", "vibe_rl", "envs")


def test_the_installed_package_has_the_version_of_the_source():
    assert version("vibe_rl") == vibe_rl.__version__


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'vibe_rl' has no attribute 'maek'"):
        _ = vibe_rl.maek
