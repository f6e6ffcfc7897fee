"""For people who look after queues: what is there, why it does not run, and changing many jobs at once."""
