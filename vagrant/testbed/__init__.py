"""The virtio testbed: guests under QEMU in which the gateway drives a real virtio NIC. A test tool, no part of the package."""
