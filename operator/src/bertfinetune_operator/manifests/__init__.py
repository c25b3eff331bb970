"""From an object to what is sent to the API server: a module for each kind of manifest, or for a part of one."""
