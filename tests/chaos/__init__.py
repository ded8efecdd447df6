"""Load, accidents at random, and what has to hold all the same. `scripts/chaos` runs it; see `__main__`.

rounds   load + accidents -> heal -> settle -> look -> invariants -> clear away -> look again
  |        |       |                           |
  |        |       +- accidents  kinds of accident; each heals itself
  |        +--------- load       clients that ask until they are answered, in duplicate and out of order
  |                   coverage   the places to die at, and which were hit
  +- ground  hosts               two agents on one broker, beside each other: a fake world, a real libvirtd
"""
