"""The stubborn backend in a process that gives less time, so that tests need not wait."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

sys.path.insert(0, os.path.dirname(__file__))

from stubborn import Stubborn

from authkit import serve
from authkit.plugin import ending
from authkit.values import replace

GRACE = timedelta(seconds=0.2)

if __name__ == "__main__":
    ending.STUCK_SECONDS = 3
    ending._REARM_SECONDS = 0.5
    ending._SIGNALS = {number: replace(each, grace=GRACE) for number, each in ending._SIGNALS.items()}
    serve(Stubborn)
