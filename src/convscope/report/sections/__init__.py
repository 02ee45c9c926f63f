"""The parts of the report, each a module with the function that fills its template."""
