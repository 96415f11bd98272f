"""Documents with their source and label, and their packing into contexts of tokens."""
