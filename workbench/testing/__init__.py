"""Contract suites, a simulated clock, a faulty broker and builders; only tests import it."""
