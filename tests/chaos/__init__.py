"""Load, accidents at random, and what has to hold all the same. `scripts/chaos` runs it; see `__main__`.

rounds   load + faults -> heal -> settle -> look -> invariants -> clear away -> look again
  |        |       |                         |
  |        |       +- faults    kinds of accident; each heals itself
  |        +--------- load      clients that ask until they are answered, in duplicate and out of order
  +- hosts            the fake world or a real libvirtd: what is really there
"""
