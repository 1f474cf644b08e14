"""Messages longer than a frame, put together again. docs/protocols/link.md

Beside the corridor, inside a peer. Hard rule: fragments come in the order of their channel with nothing between them, and
are never more than LINK_MESSAGE_BYTES_MAX.
"""

from gateway import limits
from gateway.link.frames.wire import Flag, Message

FRAGMENT, END, RETRANSMISSION = int(Flag.FRAGMENT), int(Flag.END), int(Flag.RETRANSMISSION)


class Fragments:
    """One channel's unfinished message."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The unfinished message is forgotten."""
        self._parts: list[bytes] = []
        self._size = 0

    def join(self, message: Message) -> Message | None | bool:
        """The message, whole; None while more is to come; False: it cannot be."""
        if not message.flags & FRAGMENT:
            return message if not self._parts else False
        self._parts.append(message.body)
        self._size += len(message.body)
        if self._size > limits.LINK_MESSAGE_BYTES_MAX:
            return False
        if not message.flags & END:
            return None
        body = b"".join(self._parts)
        self.drop()
        return message._replace(flags=message.flags & ~(FRAGMENT | END | RETRANSMISSION), raw_bytes=len(body), body=body)
