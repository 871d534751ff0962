"""Values that must not be seen: the `Secret` type and the masking of text.

There are two ways to mask, and who reads the text decides. What goes to a client is masked by
`mask_text`: only by what the text itself and the client's own request show, because a mask that depends on
secrets of others tells a client whether a guess of one is right. Log lines are masked by `mask_logged`,
which knows every live secret. Which lines are written, and where: `authkit.plugin.logs`.
"""

from authkit.masking.secret import MASK, Secret
from authkit.masking.text import is_secret_name, mask_logged, mask_text

__all__ = ["MASK", "Secret", "is_secret_name", "mask_logged", "mask_text"]
