"""The parts of the page, each a function from what was loaded to a `Section`, or None where it has nothing to say."""
