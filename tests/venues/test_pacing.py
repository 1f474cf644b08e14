"""The venue's own reading of the shared clock against native/clock.h."""

import numpy as np
from numba import njit

from gateway import clock, layout
from gateway.core.memory import address_of
from gateway.venues.simulator.flow import SLOT_BYTES, MemoryRing
from gateway.venues.simulator.pacing import read_clock
from gateway.venues.simulator.settings import Settings
from gateway.venues.simulator.state import Venue


@njit
def read(venue):
    return read_clock(venue)


def test_the_venue_and_native_code_read_the_same_time_from_one_calibration():
    calibration = np.zeros(1, dtype=layout.dtype("clock_calibration"))
    clock.calibrate(address_of(calibration))
    ring = MemoryRing(16, SLOT_BYTES)
    venue = Venue(Settings(symbols=1), ring.writer, calibration=address_of(calibration))
    for base_back in (0, 1 << 33, 1 << 45):  # a calibration of just now, of seconds and of hours ago
        calibration["ticks_base"] -= base_back
        before = clock.now_ns(address_of(calibration))
        between = read(venue.address)
        assert before <= between <= clock.now_ns(address_of(calibration))
