"""`doorward-agency`: what an agency does on its own machines."""
