"""The networks that are trained, and their gradient steps. Reads and writes tensors."""
