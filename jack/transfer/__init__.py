"""One attempt: an HTTP exchange whose bytes go to `.part`, are synced, recorded, and renamed."""
