"""The runner's own parts: server, installation, checks, table. The clients are the files one folder up."""
