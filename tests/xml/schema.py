"""libvirt's own RELAX NG schema, by which `virt-xml-validate` and `define --validate` judge."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

SCHEMAS = Path("/usr/share/libvirt/schemas")


@cache
def domain_schema() -> etree.RelaxNG:
    return etree.RelaxNG(file=str(SCHEMAS / "domain.rng"))


def complaints(text: str) -> list[str]:
    """What the schema has against a domain's XML."""
    schema = domain_schema()
    if schema.validate(etree.fromstring(text)):
        return []
    return [f"{entry.line}: {entry.message}" for entry in schema.error_log] or ["not a domain"]
