"""Policy sessions, for the proxy that records and the shelf that keeps."""

from __future__ import annotations

from gatepost.recording.language import Language
from policy.recording.tap import Tap
from policy.recording.text import VERSION_LINE, ConnectionWriter

POLICY = Language(Tap, ConnectionWriter, VERSION_LINE)
