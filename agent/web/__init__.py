"""The agent's health on the host: a small HTTP server on a unix socket. Sees `agent.health` and nothing else."""
