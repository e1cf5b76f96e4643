"""jack: friends share their media libraries through the Radarr and Sonarr they already run.

The words of the code, each for one thing:

peer        somebody whose jack we fetch from (`peers` in the config)
friend      somebody whose jack fetches from us (`friends` in the config)
server      a Radarr or Sonarr (`servers` in the config); both are called *arr
stub        a `.torrent` that names a peer and an item; an *arr drops it into the watch folder
release     one file as it is offered: its title, size and ids
row         a download in SQLite; its status changes only from the status it was thought to have
scan        a look at the watch folder; a file event is only a reason for one
slot        a turn in the pool of `maxConcurrentDownloads` threads; peers take turns
attempt     one try at a file, in a slot: Range, append to the `.part`, sync, record, final name
wire        the handle by which any thread ends an HTTP exchange
timer       one thread that runs what is due: waits of rows, deadlines of sockets
line        errands for one server, done one after the other, standing still while it is away
import      what has to be told to which server, until its history proves it
once        a log line that is said once, and once more when what it said is over

The way of a download through the rooms: `blackhole` (scan) -> `downloads` (row, slot) -> `transfer`
(attempt) -> `store` (every step) -> `imports` (over `arr`, the API of Radarr and Sonarr). `peers`
asks other jacks, `library` and `web` are for those who ask this one, `control` is for its owner's
commands. `daemon` starts and stops all of it; `support.waits` has every wait.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (pip looks at this, a plain checkout does not)
    sys.exit("jack: this is Python {}.{}; jack needs 3.10 or newer".format(*sys.version_info[:2]))
