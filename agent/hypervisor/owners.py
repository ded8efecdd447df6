"""Whose a domain is, or a tap, or a secret: the one rule, for every driver.

    it carries no agent's metadata          nobody's that we know
    it names another host than ours         that host's agent's
    it names our host                       ours
    it names no host                        ours: agents of before wrote none, and our next stamp names us

What isn't ours isn't there for us: never listed, never touched. So agents of several hosts can share one
libvirtd, and so can whoever else uses it. Only its uuid and its name are taken.
"""

from __future__ import annotations

from uuid import UUID

from agent.errors import Conflict


def is_ours(named: str | None, host: str) -> bool:
    """Of a domain with an agent's metadata: `named` is the host it names, `host` is ours."""
    return named in (None, host)


def somebody_elses(uuid: UUID, named: str | None) -> Conflict:
    """What is said when a domain has a uuid that we want; `named` is the host it names."""
    whose = "no agent's" if named is None else f"the agent's of host {named!r}"
    details = {} if named is None else {"host": named}
    return Conflict(f"a domain {uuid} is there already and is {whose}, not ours", details=details)


# What has no metadata carries a tag: a tap in its alias (`ip link set DEV alias TAG`), a libvirt secret in its
# usage; after the tag may come "/" and more. Who makes such a thing tags it as it is made.

_MAKER = "compute-agent"


def tag(host: str, uuid: UUID) -> str:
    """What says of a thing that it is of this instance of that host's agent."""
    return f"{_MAKER}/{host}/{uuid}"


def tagged(text: str, host: str) -> UUID | None:
    """The instance of ours that a tag names; None for a tag of another host, or for anything else."""
    maker, whose, uuid, *_ = [*text.strip().split("/"), "", "", ""]
    if (maker, whose) != (_MAKER, host):
        return None
    try:
        return UUID(uuid)
    except ValueError:
        return None
