"""``python -m initcore``."""

import sys

from initcore.cli import main

sys.exit(main())
