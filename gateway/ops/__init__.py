"""Operation beside the corridor: what the host can do, how an instance looks, what its histograms say."""
