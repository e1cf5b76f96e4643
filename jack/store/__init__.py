"""jack.db through peewee: `models` are the schema, `downloads` the guarded steps of a row, `hot`
the few statements whose text is kept."""
