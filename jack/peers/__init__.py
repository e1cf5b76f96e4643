"""The peer protocol from the asking side: one client for each friend whose library is used."""
