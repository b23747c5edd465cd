"""What may vary: a config a trainable, its knobs; the study file."""
