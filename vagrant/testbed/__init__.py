"""The virtio testbed: guests under QEMU in which the gateway drives a virtio NIC. A test tool, no part of the package."""
