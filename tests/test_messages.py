"""Every message that refuses something: one sentence, not too long, with its remedy.

Messages are read in the source: what they hold of values stands as `{}`.
"""

import ast
from pathlib import Path

import pytest

import vibe_rl
from vibe_rl import errors

SOURCE = Path(vibe_rl.__file__).parent
MOST = 200  # letters, those of values and lists apart
REFUSING = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ConfigError := errors.ConfigError)
} | {"NonFiniteLossError", "EnvironmentFaultError"}
ELSEWHERE = {  # functions that make the message, each with tests of its own
    "_no_score",
    "_no_rows",
    "sentence",
    "join",
}


def messages():
    """Where each error of ours is made, and its message."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and name_of(node.func) in REFUSING and node.args:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node.args[0]


def name_of(node):
    """The last part of a dotted name."""
    return getattr(node, "id", getattr(node, "attr", ""))


def text_of(node):
    """A message with `{}` in the place of every value."""
    match node:
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(map(text_of, node.values))
        case ast.BinOp():
            return text_of(node.left) + text_of(node.right)
    return "{}"


FOUND = dict(messages())


def test_they_are_found():
    assert len(FOUND) > 150


@pytest.mark.parametrize("where", FOUND)
def test_a_message_is_one_sentence_with_a_remedy(where):
    node = FOUND[where]
    if isinstance(node, ast.Call) and name_of(node.func) in ELSEWHERE:
        return
    said = text_of(node)
    assert len(said) < MOST
    assert "\n" not in said
    assert ": " in said or said.endswith("{}") or said.startswith("{}")  # one within a value
    assert said.endswith((".", "{}"))
