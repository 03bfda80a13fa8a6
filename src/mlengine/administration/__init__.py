"""For those who run the server: the machine and its queue, runtimes, settings, audit log, TensorBoard."""
