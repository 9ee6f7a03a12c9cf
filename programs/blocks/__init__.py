"""Programs that generators are made with; they are no methods of their own."""
