"""What this jack shares: the files of its folders and of its own Radarr and Sonarr, in one catalog.
Order of reading: `shared`, `folder_source`, `sync`, `catalog`.
"""
