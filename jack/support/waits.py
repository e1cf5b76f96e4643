"""Every wait that a person can feel, in one table: how long, and what passes meanwhile.

Those that the owner chooses (`retryMaxDelayMs`, `idleTimeoutMs`, ...) stand in the config. Waits of
milliseconds, which only a processor feels, stand where they are used.
"""

from __future__ import annotations

from jack.support.pauses import Pauses

# -- any exchange over HTTP ------------------------------------------------------------------------
CONNECT_TIMEOUT_SECONDS = 10.0
"""For a connection to stand."""
HEADER_DEADLINE_SECONDS = 30.0
"""For the whole head of an answer, so that one that comes byte by byte is given up as well."""
MAX_WAIT_SECONDS = 6 * 3600.0
"""The longest Retry-After that is kept: a peer that asks for more is asked again after this."""

# -- peers -----------------------------------------------------------------------------------------
SEARCH_PAUSES = Pauses(15.0, 300.0)
"""Before a search asks a peer again that was too slow for one or answered nonsense."""
LONGEST_SILENCE_SECONDS = 300.0
"""Before a search asks a peer again that cannot be reached, although downloads wait longer."""
SHORTAGE_LOOK_SECONDS = 5.0
"""A machine that has run out of threads, descriptors or memory has some again soon, or never."""
PROBE_SECONDS = 10.0
"""For a peer to say at all that it is there."""
DEADLINE_SECONDS = 8.0
"""For the answer to a search, from all peers. Far below the 100 s after which Radarr and Sonarr
give up and put the indexer into back-off."""
CATALOG_SECONDS = 60.0
"""How long a peer's whole list may serve text searches and further pages without a request."""

# -- a download ------------------------------------------------------------------------------------
SPACE_LOOK_SECONDS = 5.0
"""Between looks whether there is room now, for a download that waits for it; costs one statvfs."""
STORAGE_LOOK_SECONDS = 30.0
"""Between looks whether a disk that refused, or was not mounted, takes bytes now."""
DATABASE_RETRY_SECONDS = 30.0
"""Between tries to record what has happened to a download."""
CLAIMED_LOOK_SECONDS = 5.0
"""When a download whose file another one is at work on is looked at again."""
MINIMUM_WINDOW_SECONDS = 10.0
"""The shortest time over which a peer's speed is judged too slow."""
ASK_AGAIN_SECONDS = 1.0
"""A file that took longer may have changed meanwhile: the peer is asked before the final name. What
came faster is worth no second request."""

# -- Radarr and Sonarr -----------------------------------------------------------------------------
REGISTER_PAUSES = Pauses(5.0, 900.0)
"""Between tries to register with a server."""
REGISTERED_LOOK_SECONDS = 60.0
"""Between looks whether a server with which jack is registered is still there."""
TEST_SECONDS = 130.0
"""For a server to save an entry: it tests what it is given, and waits 100 s for an indexer."""
SCAN_SECONDS = 120.0
"""For a server to take an import command: it opens its database on disks that may be asleep."""
SYNC_SECONDS = 120.0
"""For a server to begin a list: "20k movies in ~4 seconds" on a PC is minutes on a NAS."""
LIST_SECONDS = 1800.0
"""For one whole list, so that a connection that trickles for ever is given up as well."""
LOOK_UP_SECONDS = 5.0
"""For a server to look up one film or series, while a friend waits for the answer of a search."""
IMPORT_PAUSES = Pauses(5.0, 900.0)
"""Between requests about imports and failures to a server that is down or refuses one of them."""
GRAB_PAUSE_SECONDS = 2.0
"""Between looks whether the server has written down meanwhile that it grabbed a download."""
OTHERS_PAUSES = Pauses(5.0, 60.0)
"""Between looks whether the other servers have said by now if they had grabbed it."""
RUN_PAUSES = Pauses(1.0, 30.0)
"""Between looks at an import command: its result is to be had for five minutes after its end."""
END_PAUSES = Pauses(1.0, 30.0)
"""Between looks at the history after the end of a command, and about a file that is gone."""
UNDECIDED_LOOK_SECONDS = 300.0
"""Between looks at the history for an import that came to nothing without a reason."""
IMPORT_AGAIN_SECONDS = 3600.0
"""One import command for a file in that time, whatever became of it."""
HISTORY_LOOK_SECONDS = 300.0
"""Between looks at the history of a server of which nothing is awaited ..."""
HISTORY_AGAIN_SECONDS = 2.0
"""... and at least, however many downloads begin."""

# -- what is shared --------------------------------------------------------------------------------
LIBRARY_PAUSES = Pauses(30.0, 1800.0)
"""Between tries to read the library of a server that cannot be asked."""
LIBRARY_PASS_SECONDS = 24 * 3600.0
"""Between two readings of a server's whole library ..."""
LIBRARY_POLL_SECONDS = 300.0
"""... and between looks at its history for what has changed since."""
LOOK_UP_AGAIN_SECONDS = 3600.0
"""Before the same film or series is looked up at a server a second time."""
LOOK_UP_GAP_SECONDS = 2.0
"""Between any two look-ups, so that friends cannot make the *arr busy through us."""
FOLDER_RESCAN_SECONDS = 60.0
"""How old the last look into the shared folders may be when somebody asks."""
FIRST_PICTURES_SECONDS = 60.0
"""After a start, when nobody has asked for the folders by then: names are ready for who does."""
PICTURES_TOLD_SECONDS = 30.0
"""How often names follow while a large library is read for the first time."""
PICTURE_SECONDS = 120.0
"""For one file to tell the size of its picture: a disk that wakes up takes fifteen, and at idle
priority a busy machine is slow."""

FIRST_SCAN_WAIT_SECONDS = 20.0
"""For the very first look into the folders, of the first few who ask; below the 30 s a peer waits
for us ..."""
FIRST_SCAN_PATIENCE_SECONDS = 1.0
"""... and of the others, from the beginning of that look: most libraries are read by then."""
DISK_PATIENCE_SECONDS = 1.0
"""For a place of those who wait for a disk. Opening takes less than a millisecond, so places that
were taken for longer are not free soon ..."""
DISK_RETRY_SECONDS = 20.0
"""... and who got none is told to come back after this: a disk is awake by then."""

# -- those who come to jack ------------------------------------------------------------------------
WRONG_KEY_PAUSES = Pauses(0.5, 10.0)
"""Before the answer to a wrong key, from an address that has sent many ..."""
WRONG_KEYS_FORGOTTEN_SECONDS = 600.0
"""... until it has sent none for so long."""

REQUEST_SECONDS = 30.0
"""For a whole request, from its first byte to the last; it is a few hundred bytes."""
IDLE_CONNECTION_SECONDS = 120
"""For the next request on a connection that is kept."""
STALLED_FILE_SECONDS = 60.0
"""A connection that carries a file stays, unless none of its bytes has left for so long."""
SLOW_SECONDS = 60.0
"""An upload that is too slow for so long gives its place to whoever asks for one."""
MIN_RETRY_SECONDS = 1
MAX_RETRY_SECONDS = 30
"""What those are told for whom there is no room now, within these bounds: a film takes longer, but
a place may be free sooner, and asking costs little."""
GRACE_SECONDS = 5.0
"""A place is kept so much longer for somebody who was told when to come back."""
SENIORITY_SECONDS = 600.0
"""Who comes back later than that has waited since then only."""

# -- the watch folder ------------------------------------------------------------------------------
SCAN_GAP_SECONDS = 1.0
"""Between a scan and the next one that a file event is the reason for."""
SOON_SECONDS = 1.0
"""When a file that is being written is looked at again without waiting for an event or a scan."""
UNREADABLE_SAID_AFTER_SECONDS = 60.0
"""A file nobody has changed for this long is not just half written."""
REREAD_FOR_SECONDS = 600.0
"""So long an unreadable file is read at every scan: a coarse mtime may hide its end."""

# -- the database ----------------------------------------------------------------------------------
BUSY_TIMEOUT_SECONDS = 20.0
"""For another process (`sqlite3`, a backup) to give the database free."""

# -- the commands ----------------------------------------------------------------------------------
STOP_SECONDS = 7.0
"""For everything under way to end by itself; the promise for the whole exit is ten seconds."""
GUARD_SECONDS = 20.0
"""Between looks at the state folder: two stats and one row that is in memory."""
CONTROL_SECONDS = 30.0
"""For a running jack to answer a command: a cancel waits for a transfer that ends ..."""
CANCEL_SECONDS = 20.0
"""... which is given so long: for its last checkpoint, on a disk that is busy."""
CONTROL_START_SECONDS = 5.0
"""For a jack that has just been started to listen to commands."""
REFRESH_SECONDS = 0.5
"""Between two pictures of `jack status --watch`."""
SPEED_SECONDS = 15.0
"""For `jack doctor` to measure a peer: a slow one is measured for this long, not until the bytes
are there."""
PORT_LOOK_SECONDS = 2.0
"""For `jack doctor` to see whether a jack listens on this machine."""
