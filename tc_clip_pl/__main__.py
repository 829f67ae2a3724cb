"""`python -m tc_clip_pl` is `tcclip`."""

import sys

from tc_clip_pl.cli import main

sys.exit(main())
