"""Lets `python -m tc_clip_pl` run the `tcclip` command."""

import sys

from tc_clip_pl.cli import main

sys.exit(main())
