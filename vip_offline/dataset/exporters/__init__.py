"""Exporters: write the episodes and rewards of a labelled store in other formats.

Each ``write_x(labelled, path, on_episode)`` writes to a path that is not there (see
`atomic_output`), and calls `on_episode` with how many more episodes are written.
"""
