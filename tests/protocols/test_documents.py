"""The protocol documents list what the tables hold."""

from pathlib import Path

from gateway.protocols import itch50, ouch50

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs" / "protocols"


def cells(name: str) -> set[tuple[str, ...]]:
    """The first four cells of every table row of a document."""
    lines = (DOCUMENTS / name).read_text().splitlines()
    return {tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines if line.startswith("|")}


def test_every_itch_message_stands_in_its_document() -> None:
    expected = {(f"`{m.type}`", m.name, m.section, str(m.size)) for m in itch50.MESSAGES.values()}
    assert expected <= cells("itch50.md")


def test_every_ouch_message_and_option_stands_in_its_document() -> None:
    messages = [message for table in ouch50.MESSAGES.values() for message in table.values()]
    expected = {(f"`{m.type}`", m.name, m.section, str(ouch50.size_of(m.key))) for m in messages}
    expected |= {
        (str(tag), f"`{name}`", str(size), kind.replace("_", " ")) for tag, (name, size, kind) in ouch50.OPTIONS.items()
    }
    assert expected <= cells("ouch50.md")
