"""The subcommands of `kindred`, one module each: `add_arguments(parser)` and `run(arguments)`, the exit status."""
