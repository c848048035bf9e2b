"""The agency's face: officers sign in, publish requests and fetch evidence. All under /agency."""
