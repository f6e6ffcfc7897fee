"""The handlers: one file a thing that customers see."""
