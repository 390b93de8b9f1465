"""What is imported by the first use of a name in it: numpy (``from ... import np``), and what a table says is where.

One place for what start-up must not import; the import statement of a module that uses it stands at its top, as any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["np", "on_first_use"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Module:
        """Stands for a module; keeps each name it was asked for, so that asking again costs what it always costs."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> object:
            value = getattr(import_module(self._name), name)
            setattr(self, name, value)
            return value

    np = _Module("numpy")


def on_first_use(namespace: dict[str, Any], package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module whose names are imported when they are first asked for, and then kept.

    Args:
        namespace: The module's ``globals()``.
        package: What the modules in ``homes`` are in.
        homes: The module of each name.
    """

    def find(name: str) -> Any:  # noqa: ANN401  # whatever has that name
        if name not in homes:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        return namespace.setdefault(name, getattr(import_module(f"{package}.{homes[name]}"), name))

    return find
