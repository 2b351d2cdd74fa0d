"""Imported first, makes `ragwright` importable from this checkout on a machine where it is not installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if importlib.util.find_spec("ragwright") is None:
    # one namespace package: every top-level folder that has a part of it
    sys.path[:0] = sorted(str(part.parent) for part in ROOT.glob("*/ragwright") if part.is_dir())
