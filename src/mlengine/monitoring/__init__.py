"""What versions did over time, and the samples of their requests: kept, shown, thinned."""
