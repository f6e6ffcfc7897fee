"""Applications to try distq with. Nothing of the repository imports them."""
