"""The rules of a download, from an accepted stub to a settled row: slots, waits, retries, endings.

Order of reading: `grabs`, `entry`, `service`, `job`, `retry`, `settling`.
"""
