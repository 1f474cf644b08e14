"""A slow, obvious SoupBinTCP client and server: the whole stream at once, one packet after the other, no time.

What the state machines of gateway/protocols must say of the same bytes, however they were cut into reads.
"""

SIZES = {"A": 31, "J": 2, "L": 47, "H": 1, "R": 1, "Z": 1, "O": 1}
LONGEST = 1024


def packets_of(stream: bytes, allowed: str) -> tuple[list[bytes], str]:
    """(packets, why what follows is refused or '')."""
    packets = []
    while len(stream) >= 2:
        length = stream[0] * 256 + stream[1]
        if length == 0:
            return packets, "length_zero"
        if length > LONGEST:
            return packets, "length_oversized"
        if len(stream) == 2:
            break
        kind = chr(stream[2])
        if kind not in "+AJSHZLURO":
            return packets, "type_unknown"
        if kind not in allowed:
            return packets, "type_unexpected"
        if kind in SIZES and SIZES[kind] != length:
            return packets, "length_wrong"
        if len(stream) < 2 + length:
            break
        packets.append(stream[2 : 2 + length])
        stream = stream[2 + length :]
    return packets, ""


def client_says(stream: bytes, session: str, sequence: int) -> list[tuple]:
    """Events of a client that asked for `session` ('': any) from `sequence` on."""
    packets, reason = packets_of(stream, "AJSHZ+")
    said: list[tuple] = []
    logged_in = False
    for packet in packets:
        kind, body = chr(packet[0]), packet[1:]
        if kind == "+":
            said.append(("said", body))
        elif not logged_in and kind == "A":
            named, digits = body[:10].strip(b" ").decode("latin-1"), body[10:].strip(b" ")
            if not digits.isdigit() or not named.isascii() or not named.isalnum() or not 1 <= int(digits) < 2**63:
                return [*said, ("lost", "field")]
            if session and named != session:
                return [*said, ("lost", "session_other")]
            logged_in, sequence = True, int(digits)
            said.append(("accepted", named, sequence))
        elif not logged_in and kind == "J":
            return [*said, ("lost", "login_busy" if body == b"S" else "login_refused")]
        elif not logged_in or kind in "AJ":
            return [*said, ("lost", "type_unexpected")]
        elif kind == "S":
            said.append(("message", sequence, body))
            sequence += 1
        elif kind == "Z":
            return [*said, ("lost", "ended")]
    return [*said, ("lost", reason)] if reason else said


def server_says(stream: bytes, session: str, messages: int) -> list[tuple]:
    """Events of a server that admits everybody to `session`, whose log holds `messages`."""
    packets, reason = packets_of(stream, "LURO+")
    said: list[tuple] = []
    logged_in = False
    for packet in packets:
        kind, body = chr(packet[0]), packet[1:]
        if kind == "+":
            said.append(("said", body))
        elif not logged_in and kind == "L":
            named, digits = body[16:26].decode("latin-1").strip(" \0"), body[26:].strip(b" ")
            if not digits.isdigit():
                return [*said, ("lost", "field")]
            wanted = int(digits) or messages + 1
            if named not in ("", session) or wanted > messages + 1:
                return [*said, ("lost", "login_busy")]
            logged_in = True
            said.append(("accepted", session, wanted))
        elif not logged_in or kind == "L":
            return [*said, ("lost", "type_unexpected")]
        elif kind == "U":
            said.append(("message", 0, body))
        elif kind == "O":
            return [*said, ("lost", "closed")]
    return [*said, ("lost", reason)] if reason else said
