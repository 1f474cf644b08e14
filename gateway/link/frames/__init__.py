"""Handshake, keys and frames: what stands on the wire, and every check in its order. docs/protocols/link.md

wire.py, bodies.py               layouts, types, flags, both CRCs, every reason for a refusal; bodies of own frames
noise.py, handshake.py           Noise_KKpsk2_25519_AESGCM_SHA256; two messages of 260 bytes that make two nodes one session
key_schedule.py                  hourly secret and session key → key and IV of one connection, direction and epoch
protection.py                    Sealer and Opener: one direction of one TCP connection, rekeyed in-band
frame_stream.py                  TCP bytes in; one message, damage or refusal at a time out
datagram.py, replay_window.py    the same for UDP, where frames come late, twice or not at all

Hard rule: no socket, no clock, no randomness; and nothing of a frame is believed before the check in front of it has passed.
"""
