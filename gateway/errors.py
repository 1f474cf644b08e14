"""The errors a user can meet. Each is one line that says the mend, and carries the exit code of the command."""

EXIT_DONE = 0
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIGURATION = 3
EXIT_CAPABILITY = 4
EXIT_FAULT = 5


class GatewayError(Exception):
    """A fault at run time; the message is one line."""

    exit_code = EXIT_FAULT


class UsageError(GatewayError):
    """The command's words are off."""

    exit_code = EXIT_USAGE


class ConfigurationError(GatewayError):
    """A configuration key is unknown, missing or out of range."""

    exit_code = EXIT_CONFIGURATION


class CapabilityError(GatewayError):
    """The host lacks what was asked for: privilege, device, library."""

    exit_code = EXIT_CAPABILITY


class AttachError(GatewayError):
    """A shared file cannot be attached: absent, torn, or made by another build."""


class PortError(GatewayError):
    """A port cannot be opened."""


class PortNameError(PortError):
    """The name of a port is off: a kind, a key or a value that there is not."""

    exit_code = EXIT_CONFIGURATION


class LinkError(GatewayError):
    """The regional link was asked for what it must not do: a worn key, a frame beyond its bounds."""
