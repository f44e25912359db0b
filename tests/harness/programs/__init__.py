"""The client programs that the tests run beside the machine's own: fetched once, kept, and listed.

Nothing but the standard library is imported here: `dev.py` fetches them before there is an environment.
"""

from tests.harness.programs.catalogue import PROGRAMS, Kind, Program
from tests.harness.programs.installed import Installed, installed, of_kind
from tests.harness.programs.place import kept_directory

__all__ = ["PROGRAMS", "Installed", "Kind", "Program", "installed", "kept_directory", "of_kind"]
