"""The bytes of capital letters and of a few other characters, as numbers that kernels freeze: LETTERS.B == ord("B").

Beside the corridor, inside the venue. A kernel that calls `ord` itself compiles Unicode handling for every letter.
"""

import string
from collections import namedtuple
from typing import Any

_NAMED = {letter: ord(letter) for letter in string.ascii_uppercase}
_NAMED |= {"BLANK": ord(" "), "ZERO": ord("0"), "ONE": ord("1"), "THREE": ord("3")}

LETTERS: Any = namedtuple("letters", _NAMED)(**_NAMED)
