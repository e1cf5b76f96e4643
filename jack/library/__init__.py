"""What this jack shares: items of its folders and its own Radarr and Sonarr, kept in a catalog."""
