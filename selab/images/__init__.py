"""Root file systems, and the images that are made from them."""
