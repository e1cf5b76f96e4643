"""The watch folder: finds stubs, reads them, and hands on the ones that are jack's.

Order of reading: `watcher` (file events), `reasons` (why to look), `intake` (the scan), `seen` (a
record of each name), `judge` (whose file is it), `stub` (what it says), `waiting` (those that are
no download yet), `disposal` (moving and removing it).
"""
