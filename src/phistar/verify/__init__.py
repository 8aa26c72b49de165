"""Checks every backward statement against central finite differences, in float64."""

from phistar.verify.checker import check_program
from phistar.verify.report import Report, Status, Verdict

__all__ = ["Report", "Status", "Verdict", "check_program"]
