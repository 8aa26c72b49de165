"""Values of parameters in files: reading every format that can be read safely, writing one.

No format runs anything: what a file declares is checked against its size before memory is taken.
"""

from phistar.parameters.folders import write
from phistar.parameters.formats import read
from phistar.parameters.matching import Report

__all__ = ["Report", "read", "write"]
