"""What keeps a packed interpreter from loading anything that was not packed."""
