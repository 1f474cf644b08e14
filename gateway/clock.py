"""The only place in Python that reads a clock for the data plane; ticks and nanoseconds agree with native/clock.h."""

import time

from gateway.native import ffi, lib

CALIBRATION_WINDOW_NS = 20_000_000


def calibrate(calibration_address: int) -> None:
    """Fills a struct clock_calibration at `calibration_address`; takes about 20 ms."""
    lib.clock_calibrate(ffi.cast("struct clock_calibration *", calibration_address), CALIBRATION_WINDOW_NS)


def now_ns(calibration_address: int) -> int:
    """Nanoseconds since the epoch by the instance's own calibration."""
    return int(lib.clock_read_ns(ffi.cast("struct clock_calibration *", calibration_address)))


def ticks() -> int:
    """The TSC."""
    return int(lib.clock_read_ticks())


def monotonic_ns() -> int:
    """For timeouts of the control plane."""
    return time.monotonic_ns()


def utc_ns() -> int:
    """The wall clock: for hours and days of keys, and for times that other hosts read."""
    return time.time_ns()
