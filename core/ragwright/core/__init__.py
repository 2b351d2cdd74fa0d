"""Values, protocols, configuration, errors and domain profiles; imports nothing else of ours."""
