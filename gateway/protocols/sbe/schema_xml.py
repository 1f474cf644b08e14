"""The XML of an SBE schema as plain elements with line numbers ④; first step of schema.py.

Hard rule: nothing outside the text is ever fetched. A DOCTYPE that says anything is refused, so there are no entities to
expand and no files to include; what the text says wrong is a SchemaError with file, line and mend.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

from gateway.errors import ConfigurationError
from gateway.limits import SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX

XINCLUDE = "http://www.w3.org/2001/XInclude"


class SchemaError(ConfigurationError):
    """A schema that cannot be used; one line: file:line, what is wrong, what to mend."""


@dataclass
class Element:
    """One element: local names, the namespace apart; text is what stands directly inside; line counts from 1."""

    tag: str
    namespace: str
    attributes: dict[str, str]
    file: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name attribute; refused where absent or empty."""
        return self.required("name")

    def required(self, attribute: str) -> str:
        """An attribute that must be there."""
        value = self.attributes.get(attribute, "").strip()
        if not value:
            raise self.error(f"<{self.tag}> has no {attribute}: give it one")
        return value

    def number(self, attribute: str, default: int = 0) -> int:
        """A whole number ≥ 0 in an attribute, or the default where it is absent."""
        text = self.attributes.get(attribute)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            value = -1
        if not 0 <= value <= 0xFFFFFFFF:
            raise self.error(f"{attribute}={text!r} is not a whole number from 0 to 4294967295")
        return value

    def error(self, text: str) -> SchemaError:
        """The error that points here."""
        return SchemaError(f"{self.file}:{self.line}: {text}")


class _Reader:
    """Builds the tree from expat's events."""

    def __init__(self, file: str):
        self.file = file
        self.root: Element | None = None
        self.open: list[Element] = []
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.buffer_text = True

    def start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, tag = name.rpartition("}")
        local = {
            key.rpartition("}")[2]: value for key, value in sorted(attributes.items(), key=lambda item: "}" not in item[0])
        }
        element = Element(tag, namespace, local, self.file, self.parser.CurrentLineNumber)
        if len(self.open) >= SCHEMA_DEPTH_MAX:
            raise element.error(f"elements nest deeper than {SCHEMA_DEPTH_MAX}: no SBE schema does")
        if tag == "include" and (namespace == XINCLUDE or "href" in local):
            target = local.get("href", "another file")
            raise element.error(f"includes {target}: resolve it first, e.g. xmllint --xinclude {self.file} > whole.xml")
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def end(self, name: str) -> None:
        self.open.pop()

    def text(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data

    def doctype(self, name: str, system: str | None, public: str | None, has_declarations: int) -> None:
        if not system and not public and not has_declarations:
            return  # `<!DOCTYPE xml>` (B3) says nothing
        line = self.parser.CurrentLineNumber
        raise SchemaError(
            f"{self.file}:{line}: declares or names a DTD: remove the DOCTYPE, entities and files are not read"
        )


def parse_elements(text: str | bytes, file: str) -> Element:
    """The root element of an XML text; `file` is what errors call it. Refuses what is not XML, and DOCTYPEs."""
    if len(text) > SCHEMA_BYTES_MAX:
        raise SchemaError(f"{file}:1: longer than {SCHEMA_BYTES_MAX} bytes: this is no SBE schema")
    reader = _Reader(file)
    try:
        reader.parser.Parse(text, True)
    except expat.ExpatError as problem:
        what = expat.errors.messages[problem.code]
        raise SchemaError(f"{file}:{problem.lineno}: is not well-formed XML: {what}") from problem
    except (LookupError, ValueError) as problem:
        raise SchemaError(f"{file}:1: cannot be read as text: {problem}") from problem
    assert reader.root is not None, "expat refuses a text without an element"
    return reader.root
