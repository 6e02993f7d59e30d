"""The command line. Modules import what is heavy inside their functions: help is instant."""
