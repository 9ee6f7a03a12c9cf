"""Reading answers out of replies and comparing them: numbers, mathematics, choices, labels, values, programs."""
