"""Milter sessions, for the proxy that records and the shelf that keeps."""

from __future__ import annotations

from gatepost.recording.language import Language
from milters.recording.tap import Tap
from milters.recording.writer import VERSION_LINE, ConnectionWriter

MILTER = Language(Tap, ConnectionWriter, VERSION_LINE)
