"""Modules that cost a tenth of a second to import, loaded by the first use of a name in them: ``from ... import np``.

One place for what start-up must not import; the import statement of a module that uses it stands at its top, as any.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["np"]

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
