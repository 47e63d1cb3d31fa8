"""Reading what a caller gives as JSON: each field of its type and within its bounds, or refused."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import Place
from vibe_rl.errors import ConfigError, short, unknown

MOST = 1_000_000
"""The largest whole number that a field may have, unless the rules set a bound."""


@dataclass(frozen=True)
class Given:
    """An object of JSON, and what messages call it, such as `enemies[0]`; "" is the outermost."""

    name: str
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, value: Any, known: Collection[str]) -> "Given":
        """Checks that it is an object and that its fields are all known.

        Raises:
            ConfigError: it is not, as of every function here where a field is not what it must be.
        """
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} {short(value)}: give an object with {', '.join(known)}.")
        for field in value:
            if field not in known:
                raise unknown(f"field of {name}", str(field), known)
        return cls(name, value)

    def refuse(self, field: str, remedy: str) -> ConfigError:
        """The error for a field's value."""
        name = f"{self.name}.{field}" if self.name else field
        return ConfigError(f"{name} {short(self.fields.get(field))}: {remedy}.")

    def whole(self, field: str, low: int, high: int = MOST, default: int | None = None) -> int:
        """A whole number within bounds; without a default it must be there."""
        value = self.fields.get(field, default)
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(field, f"give a whole number from {low} to {high}")
        return value

    def flag(self, field: str) -> bool:
        """True or false, which it is by default."""
        value = self.fields.get(field, False)
        if not isinstance(value, bool):
            raise self.refuse(field, "give true or false")
        return value

    def one_of(self, field: str, names: Sequence[str]) -> int:
        """The index of a name."""
        value = self.fields.get(field)
        if value not in names:
            some = names if len(names) < 10 else (*names[:3], "...", names[-1])
            raise self.refuse(field, f"give one of {', '.join(some)}")
        return names.index(value)

    def place(self) -> Place:
        """Its row and column."""
        row, col = (self.whole(field, 0, rules.SIDE - 1) for field in ("row", "col"))
        return row, col

    def each(self, field: str, known: Collection[str]) -> "list[Given]":
        """The objects of a list, which is empty by default."""
        values = self.values(field)
        return [Given.of(f"{field}[{i}]", value, known) for i, value in enumerate(values)]

    def values(self, field: str) -> list[Any]:
        """A list, empty by default."""
        value = self.fields.get(field, [])
        if not isinstance(value, list):
            raise self.refuse(field, "give a list")
        return value
