"""jack: friends share their media libraries through the Radarr and Sonarr they already run."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (pip looks at this, a plain checkout does not)
    sys.exit("jack: this is Python {}.{}; jack needs 3.10 or newer".format(*sys.version_info[:2]))
