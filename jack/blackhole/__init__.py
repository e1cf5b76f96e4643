"""The watch folder: finds stubs, reads them, and hands on the ones that are jack's.

Order of reading: `watcher` (events), `intake` (the scan), `judge` (whose file is it), `stub` (what
it says), `disposal` (moving and removing it).
"""
