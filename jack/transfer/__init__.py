"""One attempt: an HTTP exchange whose bytes go to `.part`, are synced, recorded, and renamed.
Order of reading: `engine`, `verdicts` (what an answer means), `part`, `sink`, `checkpoints`.
"""
