"""A fleet of agents on one broker: what the broker pays for each, and how all come back when it was away."""
