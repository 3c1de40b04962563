"""The simulators' own tasks behind one interface."""
