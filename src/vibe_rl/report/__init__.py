"""The report of a run: one HTML file."""

from vibe_rl.report.write import write_report

__all__ = ["write_report"]
