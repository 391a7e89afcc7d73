"""Ways in beside the engine, measured, recorded and drawn."""
