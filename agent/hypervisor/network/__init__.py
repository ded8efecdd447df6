"""The host side of guests' interfaces."""
