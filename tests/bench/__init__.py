"""Measures the agent: `scripts/bench`. Beside the tests, as it stands on their rig and has a few of its own.

    table      every bench, one line each
    bed        what a bench stands on: broker, libvirtd, agents as processes, how often to repeat
    figures    what it gives back: repetitions of one number with its unit
    meters     processor time, memory, descriptors and threads of a process
    load       casts, and waiting for their ends
    floors     the least that the same work costs: the journal's rows by SQLite alone, casts only consumed
    a file for each bench

A figure alone says little on a machine that others use: what it is compared with is measured in the same run,
turn by turn, and the ratio is taken within each repetition.
"""
