"""The report page: what a run made, lost and cost, as one HTML file that opens offline."""

from synthwright.report.page import render_page
from synthwright.report.report import write_report

__all__ = ["render_page", "write_report"]
