"""Every wait that a person can feel, in one table: seconds, and what passes meanwhile.

Those that the owner chooses (`retryMaxDelayMs`, `idleTimeoutMs`, ...) stand in the config. Waits of
milliseconds, which only a processor feels, stand where they are used.
"""

from __future__ import annotations

from jack.support.pauses import Pauses

# -- Radarr and Sonarr -----------------------------------------------------------------------------
REGISTER_PAUSES = Pauses(5.0, 900.0)
"""Between tries to register with a server."""
REGISTERED_LOOK_SECONDS = 60.0
"""Between looks whether a server with which jack is registered is still there."""
LIBRARY_PAUSES = Pauses(30.0, 1800.0)
"""Between tries to read the library of a server that cannot be asked."""

# -- those who come to jack ------------------------------------------------------------------------
WRONG_KEY_PAUSES = Pauses(0.5, 10.0)
"""Before the answer to a wrong key, from an address that has sent many."""
