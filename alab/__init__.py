"""The core of the laboratory: models, lab definition, store, queue, gateway, CLI."""
