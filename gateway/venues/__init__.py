"""Trading places: each composes pure protocols into a venue that can be traded on."""
