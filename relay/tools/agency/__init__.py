"""The program `doorward-agency`, for an agency's own machines."""
