"""Crypto venues' market data over WebSocket ④: JSON bytes to events, without a JSON library."""
