"""Reads video clips: folders of pictures, videos, stores, manifests. Writes them decoded, once."""
