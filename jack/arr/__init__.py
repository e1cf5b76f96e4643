"""The API of Radarr and Sonarr: registration, history, commands, their libraries.
Order of reading: `api` (requests and what errors mean), `registration`, `history`, `library`.
"""
