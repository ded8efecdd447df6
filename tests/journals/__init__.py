"""What the agent of each release leaves behind when it is stopped amid its work, kept to be opened by later ones.

    python -m tests.journals.record 1.0      writes tests/journals/1.0/, once, with that release

A directory has `journal.sql`, the journal as SQL text; `files.json`, everything else in the state directory (the
fake hypervisor's guests among it). What is in there is told by `left.CASES`; `test_recorded` opens a copy of each.
"""
