"""Imports for later: of what is large and seldom needed, so that importing
Hornbeam stays cheap. No other import stands inside a function."""

from __future__ import annotations

import importlib
from typing import Any


def module(name: str) -> Any:
    """The module of that name, imported by now."""
    return importlib.import_module(name)
