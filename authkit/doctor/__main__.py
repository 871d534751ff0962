"""`python -m authkit.doctor FILE`."""

import sys

from authkit.doctor.command import run

sys.exit(run(sys.argv[1:]))
