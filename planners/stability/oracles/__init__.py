"""What verifies a candidate: an energy after relaxation, behind one interface."""
