"""The password of the order session: from a file, or from the environment; nowhere else, and never printed.

Hard rule: it is no key of the configuration, so no file of an instance, no `show-config` and no message can hold it.
"""

import os
from pathlib import Path

from gateway.config import Configuration
from gateway.errors import ConfigurationError

VARIABLE = "GATEWAY_ORDERS_PASSWORD"
BYTES_MAX = 10  # SoupBinTCP 4.00, Login Request


def password_of(configuration: Configuration) -> str:
    """The password. Raises ConfigurationError where there is none, or one that no login carries."""
    path = configuration.orders.password_file
    if path:
        try:
            password = Path(path).expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError(f"orders.password_file = {path!r}: cannot be read ({type(problem).__name__})") from None
        where = f"{path}: the password"
    else:
        password, where = os.environ.get(VARIABLE, ""), VARIABLE
    if not password:
        raise ConfigurationError(
            f"the order session has no password: write orders.password_file = FILE, or set {VARIABLE} in the environment"
        )
    if len(password) > BYTES_MAX or not password.isascii() or not password.isprintable() or " " in password:
        raise ConfigurationError(f"{where} must be 1 to {BYTES_MAX} printable characters without blanks")
    return password
