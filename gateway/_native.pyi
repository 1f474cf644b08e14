"""What type checkers know of the compiled module: cffi's two objects, whose members come from native/."""

from typing import Any

ffi: Any
lib: Any
