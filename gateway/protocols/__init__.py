"""Pure codecs ④, bytes ↔ messages: udp, moldudp64, soupbintcp, itch50, ouch50. Imports core, layout and limits only."""
