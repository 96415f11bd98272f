"""What the steps exchange: one module per artefact with its schema, version, `save` and `load`."""
