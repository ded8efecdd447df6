"""The agent as OpenStack's own library sees it: the real oslo.messaging, as client, as listener and as server.

It runs in processes of its own: it starts threads that nobody can end, and so another release than the installed
one can be tried: OSLO_PYTHON=/path/to/its/python pytest tests/oslo.
"""
