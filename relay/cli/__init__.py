"""The operator's commands: `doorward-relay` and its subcommands."""
