"""The parts of a scan: what is done to one run, where results are kept, who does the work, what is written."""
