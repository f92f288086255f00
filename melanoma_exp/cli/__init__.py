"""The command line: Hydra composition, overrides, help and the subcommands."""
