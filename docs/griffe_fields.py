"""An extension of Griffe: the fields of a record or of a config as one table.

A config says what a field means in a string under it, a record in a comment behind it.
"""

from typing import Any

import griffe


class Fields(griffe.Extension):
    """Moves the meanings of a class's fields into its own docstring."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Appends the section, and leaves the fields without docstrings, so not shown again."""
        fields = [
            field for field in cls.attributes.values() if field.is_public and field.annotation
        ]
        rows = [f"    {field.name}: {meaning(field)}" for field in fields]
        if cls.docstring and rows:
            cls.docstring.value += "\n".join(["\n\nAttributes:", *rows])
            for field in fields:
                field.docstring = None


def meaning(field: griffe.Attribute) -> str:
    """What is said of a field, in one line; with its default where no signature shows it."""
    if field.docstring:
        return " ".join(field.docstring.value.split())
    default = f"default `{field.value}`" if field.value else ""
    return "; ".join(filter(None, (comment(field), default)))


def comment(field: griffe.Attribute) -> str:
    """The comment at the end of a field's last line."""
    return field.lines[-1].partition("  # ")[2] if field.lines else ""
