"""The modules of release/, and Helm's engine, for the tests here."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "release"))

import binary
import files
import notices
import places
from files import engine

__all__ = ["ROOT", "binary", "engine", "files", "notices", "places"]
