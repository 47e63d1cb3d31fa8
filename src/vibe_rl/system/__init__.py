"""The machine under us: processes, memory, compiled programs, signals, locks, cores."""
