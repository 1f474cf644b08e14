"""The null strategy ⑥: sees every event and intends nothing. The measure of what the corridor itself costs."""


def on_event(state, event, book, orders):
    """Nothing."""
