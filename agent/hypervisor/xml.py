"""Typed libvirt XML: a field says where its value lives, and reading and writing both follow from that.

    class Rng(Element):
        tag: ClassVar[str] = "rng"
        model: Annotated[str, At("@model")] = "virtio"
        source: Annotated[str, At("backend")]

Used by `devices`, `domain` and `metadata`. Elements hold no policy; what a guest should get is decided in
`domain`. A declaration that can't work (a bool without words on an attribute, an element at an attribute)
fails when its class is made, not when a guest is spawned.

Paths: `@attr`, `child`, `child/@attr`, `.` for the element's own text. A field that holds an Element, or a
tuple of them, names the place its children hang from: `.` or `devices`. A variant is told by its tag and
its one-word `Literal` fields (`type: Literal["file"]`), so a union of elements reads back as what it was.
What a class doesn't declare is ignored when read: never write back a domain that was read this way.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeAlias, cast

from lxml import etree
from pydantic import BaseModel, ConfigDict, ValidationError

Node: TypeAlias = etree._Element
Words: TypeAlias = tuple[str, str]
ON_OFF: Words = ("on", "off")
YES_NO: Words = ("yes", "no")

# XML 1.0, "Char": all else can't be written, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PATH = re.compile(r"\.|@[\w-]+|[\w-]+(/[\w-]+)*(/@[\w-]+)?")


class BadXml(ValueError):
    """Text that isn't the XML it should be."""


class Namespace(NamedTuple):
    prefix: str
    uri: str


@dataclass(frozen=True, slots=True)
class At:
    """Where a field lives.

    `words` spell a bool (true, false); without them a bool is the presence of the child. `unit` is written
    beside the value and must be the one that is read.
    """

    path: str
    words: Words | None = None
    unit: str | None = None


def legal(text: str) -> str:
    """`text` with each character that XML 1.0 can't hold replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def parse(text: str) -> Node:
    """The root of `text`. No entity, file or network is touched. Raises BadXml."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, encoding="utf-8")
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise BadXml(f"not XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadXml("a document type isn't allowed here")
    return root


def render(node: Node) -> str:
    return etree.tostring(node, pretty_print=True, encoding="unicode", with_tail=False)


def renamed(node: Node, namespace: Namespace | None) -> Node:
    """`node` with all that is below it in `namespace`; None: in none. Changes `node` itself."""
    prefix = f"{{{namespace.uri}}}" if namespace else ""
    for part in node.iter(etree.Element):
        part.tag = prefix + etree.QName(part).localname
    etree.cleanup_namespaces(node)
    return node


class Element(BaseModel):
    """A libvirt XML element. A subclass without `tag` is a base for variants."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tag: ClassVar[str]
    namespace: ClassVar[Namespace | None] = None
    places: ClassVar[tuple[_Place, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.places = tuple(_Place.of(cls, name) for name in cls.model_fields)

    @classmethod
    def qualify(cls, word: str) -> str:
        """`word` as lxml spells it in this element's namespace."""
        return f"{{{cls.namespace.uri}}}{word}" if cls.namespace else word

    def to_node(self) -> Node:
        """Raises ValueError for text that XML can't hold."""
        nsmap = {self.namespace.prefix: self.namespace.uri} if self.namespace else None
        node = etree.Element(self.qualify(self.tag), nsmap=nsmap)
        for place in self.places:
            place.write(node, getattr(self, place.field))
        return node

    def to_xml(self) -> str:
        return render(self.to_node())

    @classmethod
    def from_node(cls, node: Node) -> Self:
        """Raises BadXml for values that don't fit."""
        values = ((place.field, place.read(node)) for place in cls.places)
        try:
            return cls.model_validate({field: value for field, value in values if value is not None})
        except ValidationError as error:
            raise BadXml(f"<{cls.tag}> can't be read: {error}") from error

    @classmethod
    def from_xml(cls, text: str) -> Self:
        return cls.from_node(parse(text))

    @classmethod
    def fits(cls, node: Node) -> bool:
        """Whether `node` is this variant: its tag, and every field that can have one word only."""
        return node.tag == cls.qualify(cls.tag) and all(
            place.read(node) == place.constant for place in cls.places if place.constant is not None
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """One field's place, worked out once from its declaration."""

    field: str
    at: At
    steps: tuple[str, ...]  # from the element down to the place, in lxml's spelling
    attribute: str | None
    elements: tuple[type[Element], ...]
    many: bool
    presence: bool
    constant: str | None

    @classmethod
    def of(cls, owner: type[Element], field: str) -> _Place:
        info = owner.model_fields[field]
        at = next((mark for mark in info.metadata if isinstance(mark, At)), None)
        if at is None or _PATH.fullmatch(at.path) is None:
            raise TypeError(f"{owner.__name__}.{field}: say where it lives, with At(path)")
        parents, _, leaf = at.path.rpartition("/")
        attribute = leaf[1:] if leaf.startswith("@") else None
        steps = (parents if attribute else at.path).split("/")
        kinds = tuple(_kinds(info.annotation))
        place = cls(
            field=field,
            at=at,
            steps=tuple(owner.qualify(step) for step in steps if step not in ("", ".")),
            attribute=attribute,
            elements=tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Element)),
            many=_is_tuple(info.annotation),
            presence=bool in kinds and at.words is None,
            constant=_constant(kinds),
        )
        place.check(f"{owner.__name__}.{field}", optional=type(None) in kinds, default=info.default)
        return place

    def check(self, name: str, *, optional: bool, default: object) -> None:
        if (self.elements or self.presence) and self.attribute:
            raise TypeError(f"{name}: an attribute holds neither an element nor a presence")
        if self.many and not self.elements:
            raise TypeError(f"{name}: a tuple holds elements")
        if self.many and default != ():
            raise TypeError(f"{name}: a tuple has () as its default, an empty one isn't written")
        if optional and default is not None:
            # An absent place reads as the default: None would come back as something else.
            raise TypeError(f"{name}: what may be None has None as its default")

    def write(self, node: Node, value: Any) -> None:
        if value is None or value == () or (self.presence and value is False):
            return
        for step in self.steps:
            found = node.find(step)
            node = etree.SubElement(node, step) if found is None else found
        if self.elements:
            node.extend([child.to_node() for child in (value if self.many else (value,))])
        elif self.attribute:
            node.set(self.attribute, self._text(value))
        elif not self.presence:
            node.text = self._text(value)
            if self.at.unit:
                node.set("unit", self.at.unit)

    def read(self, node: Node) -> Any:
        for step in self.steps:
            found = node.find(step)
            if found is None:
                return False if self.presence else None
            node = found
        if self.elements:
            return self._children(node)
        return True if self.presence else self._scalar(node)

    def _children(self, holder: Node) -> Any:
        kinds = ((node, next((cls for cls in self.elements if cls.fits(node)), None)) for node in holder)
        made = tuple(kind.from_node(node) for node, kind in kinds if kind is not None)
        return made if self.many else next(iter(made), None)

    def _scalar(self, node: Node) -> str | bool | None:
        # A written but empty text is "", which isn't absence.
        text = node.get(self.attribute) if self.attribute else (node.text or "")
        if self.at.unit and node.get("unit", self.at.unit) != self.at.unit:
            raise BadXml(f"{self.at.path} is in {node.get('unit')}, not in {self.at.unit}")
        if self.at.words and text in self.at.words:
            return text == self.at.words[0]
        return text

    def _text(self, value: Any) -> str:
        if isinstance(value, bool) and self.at.words:
            return self.at.words[0 if value else 1]
        return str(value.value if isinstance(value, enum.Enum) else value)


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a declaration is made of: unions, tuples and annotations taken apart, literals kept whole."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, tuple):
        for part in typing.get_args(annotation):
            if part is not Ellipsis:
                yield from _kinds(part)
    elif origin is typing.Annotated:
        yield from _kinds(typing.get_args(annotation)[0])
    else:
        yield annotation


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _constant(kinds: tuple[Any, ...]) -> str | None:
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is Literal:
        words = typing.get_args(kinds[0])
        return cast(str, words[0]) if len(words) == 1 else None
    return None
